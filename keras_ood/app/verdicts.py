"""Verdicts on a few image files, in words."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from keras_ood.app.omissions import omissions
from keras_ood.app.session import Session
from keras_ood.calibration.rule import Rule
from keras_ood.images import ImageFiles
from keras_ood.tables.score_table import Names

HEADERS = ("#", "image", "score", "p-value", "verdict")
MOST_FILES = 200

_WORDS = {True: "out-of-distribution", False: "in-distribution", None: "cannot be read"}


class Verdicts(NamedTuple):
    """A sentence on all files (HTML), and a line for each: cells as `HEADERS` names them, the last one HTML."""

    words: str
    lines: list[list[int | str]]


def judge(session: Session, paths: Sequence[str], rule: Rule) -> Verdicts:
    """Score image files; one that cannot be read gets a line that says so.

    Args:
        session: Session whose detector scores.
        paths: Paths of the files, at least one.
        rule: What is flagged.

    Raises:
        ValueError: More files than `MOST_FILES`, or some that are gone; a rate that the calibration cannot promise.
    """
    if len(paths) > MOST_FILES:
        raise ValueError(
            f"At most {MOST_FILES} images at once; the tab Batch takes a .zip file of more. Received: {len(paths)}"
        )
    gone = [path.name for path in map(Path, paths) if not path.is_file()]
    if gone:
        raise ValueError(f"Uploaded files are deleted after an hour; drop them again. Received: {', '.join(gone)}")
    files = ImageFiles(paths, "skip", session.decoding)
    rows = list(session.rows(files, Names(files.paths, files.skipped), rule))
    names = [file.name for file in files.paths]
    lines: list[list[int | str]] = [
        [number, name, *_numbers(score, p_value), _colour(flag)]
        for number, (name, (_, score, p_value, flag)) in enumerate(zip(names, rows, strict=True), start=1)
    ]
    flags = [flag for *_, flag in rows if flag is not None]
    words = f"<b>{sum(flags)} of {len(flags)}</b> images are out-of-distribution at {rule}."
    words += " Click a line to see its image closer." if len(lines) > 1 else ""
    words = " ".join([words, *omissions(0, files.frames_left_out)])
    for file, reason in files.skipped.items():
        known = reason.replace(str(file), file.name)  # the server's own folders are nobody's business
        words += f"<br>{html.escape(file.name)} cannot be read as an image: {html.escape(known)}."
    return Verdicts(words, lines)


def _numbers(score: float | None, p_value: float | None) -> list[str]:
    return ["", ""] if score is None else [f"{score:.4g}", f"{p_value:.3g}"]


def _colour(flag: bool | None) -> str:
    return f'<span class="verdict {_WORDS[flag].replace(" ", "-")}">{_WORDS[flag]}</span>'
