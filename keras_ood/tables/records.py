"""Rows of measurements as CSV files."""

import csv
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

CONVENTION = (
    "Per image. OOD is the positive class (AUPR-in: in-distribution); FPR95 is the share of in-distribution images flagged "
    "when 95 % of the OOD images are; brackets: 95 % bootstrap interval over the images."
)


def write_records(path: str | Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write rows of equal keys as a CSV file, whole or not at all."""
    rows = list(records)
    unfinished = Path(f"{path}.unfinished")
    with open(unfinished, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    unfinished.replace(path)


def read_records(path: str | Path) -> list[dict[str, str]]:
    """Read what `write_records` wrote."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def finite(value: Any) -> Any:
    """Return plain data with None in the place of floats that JSON does not know."""
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
