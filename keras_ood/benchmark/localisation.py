"""What `localisation.csv` says of every method, means over its sets."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

RAW, STANDARDISED, SMOOTHED = "raw", "standardised", "standardised, smoothed"
"""Kinds of map: as the method gives it; at every position the mean and deviation of held-out images off; smoothed, too."""

HEAD = ("image AUROC", "pixel AUROC", "PRO", "flagged", "ms", "of PatchCore's", "with encoder", "numbers")
"""Columns of `cells`."""

Group = Sequence[Mapping[str, Any]]


def groups(rows: Group) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """Return the rows of every method and kind of map, a row for each set."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["method"], row["map"]), []).append(row)
    return found


def sets(rows: Group) -> list[str]:
    """Return the names of the sets."""
    return list(dict.fromkeys(row["in_distribution"] for row in rows))


def looks_at(method: str) -> str:
    """Return what a method looks at: pixels as its name says, or the one encoder of all others."""
    return "pixels" if "pixels" in method else "EfficientNet-Lite0, trained on ImageNet with labels"


def column_mean(group: Group, key: str, of: Callable[..., Any] = np.mean) -> float:
    """Return the mean of a column, or what else is to be said of it."""
    return float(of([float(row[key]) for row in group]))


def cells(group: Group) -> list[str]:
    """Return the columns of `HEAD`: means over the sets, of times medians."""
    return [
        *(f"{column_mean(group, key):.3f}" for key in ("image_auroc", "pixel_auroc", "pro")),
        f"{column_mean(group, 'flagged'):.1%}".replace("%", " %"),
        f"{column_mean(group, 'ms', np.median):.1f}",
        *(f"{column_mean(group, key, np.median):.2f}" for key in ("ms_of_patchcore", "ms_with_encoder_of_patchcore")),
        f"{column_mean(group, 'numbers'):,.0f}",
    ]
