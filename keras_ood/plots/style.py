"""The one look of all figures."""

from collections.abc import Iterator
from itertools import cycle
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers; maps of values in cividis, made for them.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MAP = "cividis"
_LINES = ("-", "--", ":")


def side_by_side(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of panels side by side, of so many inches each."""
    figure = Figure(figsize=(width * count, height), layout="constrained", dpi=110)
    panels = list(figure.subplots(1, count, squeeze=False).ravel())
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels


def styles() -> Iterator[dict[str, Any]]:
    """Colour and line of one curve after the other, the first 24 all different."""
    return cycle({"color": colour, "linestyle": line} for line in _LINES for colour in COLOURS)
