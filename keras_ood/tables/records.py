"""Rows of measurements as CSV files."""

import csv
import math
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

Row = TypeVar("Row")

CONVENTION = (
    "Per image. OOD is the positive class (AUPR-in: in-distribution); FPR95 is the share of in-distribution images flagged "
    "when 95 % of the OOD images are; brackets: 95 % bootstrap interval over the images."
)


def writable(folder: str | Path) -> Path:
    """Return a folder, made where absent, in which results can be written: asked before they are worked out.

    Raises:
        OSError: There can be none.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise OSError(f"Results need a folder that can be written. Received: {folder} ({error.strerror})") from error


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


def read_rows(path: str | Path, kind: type[Row]) -> list[Row]:
    """Read what `write_records` wrote as objects; see `typed_rows`."""
    return typed_rows(read_records(path), kind)


def typed_rows(records: Iterable[Mapping[str, str]], kind: type[Row]) -> list[Row]:
    """Return rows of text as objects of a dataclass.

    Args:
        records: As `read_records` returns them; columns that are no field are left out.
        kind: Dataclass of text and numbers; an empty cell of a field such as `float | None` is None.
    """
    fields = get_type_hints(kind)
    return [kind(**{name: _typed(record[name], fields[name]) for name in fields}) for record in records]


def _typed(cell: str, field: Any) -> Any:
    kinds: tuple[Callable[[str], Any], ...] = get_args(field) or (field,)  # of `float | None`, or of `float`
    return None if not cell and len(kinds) > 1 else kinds[0](cell)


def finite(value: Any) -> Any:
    """Return plain data with None in the place of floats that JSON does not know."""
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
