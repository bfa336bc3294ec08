"""A .zip file of images scored as one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from keras_ood import plots
from keras_ood.app.archive import Archive
from keras_ood.app.omissions import omissions
from keras_ood.app.session import Session
from keras_ood.tables.score_table import Names, Table

Report = Callable[[int, int], None]
"""Told how many images of how many have been read."""


class Batch(NamedTuple):
    """What a batch came to: a sentence, and the scores' histogram, None where no image could be read."""

    words: str
    figure: Figure | None


def score_archive(session: Session, path: Path, fpr: float, table: Path, report: Report) -> Batch:
    """Write a row for each image of a .zip file, an empty one where it cannot be read.

    Args:
        session: Session whose detector scores.
        path: The .zip file.
        fpr: False positive rate to hold.
        table: CSV file to write, columns `keras_ood.tables.score_table.COLUMNS`.
        report: Function that is called as the work goes on.

    Raises:
        ValueError: No .zip file of images, see `Archive`; an `fpr` that the calibration cannot promise.
    """
    archive = Archive(path, session.decoding)
    rows = list(session.rows(_report_progress(archive, report), Names(archive.names, archive.skipped), fpr))
    with Table(table) as file:
        file.write(rows)
    scores = np.array([score for _, score, _, _ in rows if score is not None])
    flagged = sum(flag is True for *_, flag in rows)
    words = (
        f"`{session.name}`: **{flagged:,} of {len(scores):,}** images are out-of-distribution at a false positive rate of "
        f"{100 * fpr:g} %."
    )
    if archive.skipped:
        words += f" Could not be read, an empty row each: {len(archive.skipped):,}."
    words = " ".join([words, *omissions(archive.left_out, archive.frames_left_out)])
    if not len(scores):
        return Batch(words, None)
    calibration = session.calibration  # nobody knows yet what the images are: no "OOD" in the legend
    return Batch(words, plots.score_histograms(calibration.scores, {"zip": scores}, calibration.threshold(fpr), label="zip"))


def _report_progress(archive: Archive, report: Report) -> Iterator[np.ndarray]:
    for done, image in enumerate(archive):
        if done % 16 == 0:
            report(done, len(archive))
        yield image
