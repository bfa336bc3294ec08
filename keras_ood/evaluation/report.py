"""What a measurement of a detector gives."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from keras_ood.evaluation.metrics import Interval
from keras_ood.tables.records import write_records


@dataclass(frozen=True)
class Row:
    """One score on one out-of-distribution set."""

    out_of_distribution: str
    method: str
    in_images: int
    out_images: int
    auroc: Interval
    aupr_in: Interval
    aupr_out: Interval
    fpr95: Interval


@dataclass(frozen=True)
class Report:
    """What `evaluate` measured.

    Attributes:
        rows: One for each out-of-distribution set and score.
        statistics: `{set name: {statistic: (N,)}}`; the in-distribution set is named `in_distribution`.
    """

    rows: list[Row]
    statistics: dict[str, dict[str, np.ndarray]]

    def records(self, **extra: Any) -> list[dict[str, Any]]:
        """Return flat rows: `auroc`, `auroc_low`, `auroc_high`, ... rounded to 5 decimals; `extra` columns come first."""
        return [extra | _flatten(row) for row in self.rows]

    def to_csv(self, path: str | Path, **extra: Any) -> None:
        """Write `records` as a CSV file."""
        write_records(path, self.records(**extra))


def _flatten(row: Row) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        if not isinstance(value, Interval):
            flat[field.name] = value
            continue
        for suffix, number in (("", value.value), ("_low", value.low), ("_high", value.high)):
            flat[field.name + suffix] = None if number is None else round(number, 5)
    return flat
