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
from keras_ood.calibration.rule import Rule
from keras_ood.tables.score_table import Names, Table

Report = Callable[[int, int], None]
"""Told how many images of how many have been read."""


class Batch(NamedTuple):
    """What a batch came to: a sentence, and the scores' histogram, None where no image could be read."""

    words: str
    figure: Figure | None


def score_archive(session: Session, path: Path, rule: Rule, table: Path, report: Report) -> Batch:
    """Write a row for each image of a .zip file, an empty one where it cannot be read.

    Args:
        session: Session whose detector scores.
        path: The .zip file.
        rule: What is flagged.
        table: CSV file to write, columns `keras_ood.tables.score_table.COLUMNS`.
        report: Function that is called as the work goes on.

    Raises:
        ValueError: No .zip file of images, see `Archive`; a rate that the calibration cannot promise.
    """
    archive = Archive(path, session.decoding)
    rows = list(session.rows(_report_progress(archive, report), Names(archive.names, archive.skipped), rule))
    with Table(table) as file:
        file.write(rows)
    scores = np.array([score for _, score, _, _ in rows if score is not None])
    flagged = sum(flag is True for *_, flag in rows)
    words = f"`{session.name}`: **{flagged:,} of {len(scores):,}** images are out-of-distribution at {rule}."
    if archive.skipped:
        words += f" Could not be read, an empty row each: {len(archive.skipped):,}."
    words = " ".join([words, *omissions(archive.left_out, archive.frames_left_out)])
    if not len(scores):
        return Batch(words, None)
    calibration = session.calibration  # nobody knows yet what the images are: no "OOD" in the legend
    threshold = calibration.threshold(rule.rate) if rule.fdr is None else None
    return Batch(words, plots.score_histograms(calibration.scores, {"zip": scores}, threshold, label="zip"))


def _report_progress(archive: Archive, report: Report) -> Iterator[np.ndarray]:
    for done, image in enumerate(archive):
        if done % 16 == 0:
            report(done, len(archive))
        yield image
