"""A part of the benchmark's report."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Section:
    """A table under a heading, perhaps with a picture.

    Attributes:
        title: The heading.
        text: What it says before the table; may be empty.
        header: Names of the columns.
        lines: Cells of each line.
        figure: Picture for the page.
        question: Name of the question that it answers; empty for tables of all.
    """

    title: str
    text: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]
    figure: Figure | None = None
    question: str = ""
