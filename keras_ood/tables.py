"""Scores of images as a table: CSV or Parquet."""

import csv
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from keras_ood.batches import open_path
from keras_ood.datasets import ImageFiles

COLUMNS = ("path", "score", "p_value", "ood")

Columns = dict[str, list[Any]]
Row = tuple[str, bool]  # what the image is called, and whether it was read


def open_images(paths: Sequence[str], unreadable: str) -> tuple[Any, Callable[[], list[Row]]]:
    """Return a source of images and a function that, once they are scored, names each of them.

    Args:
        paths: One folder, one .npy/.npz file, or image files.
        unreadable: `"raise"` or `"skip"`, see `ImageFiles`.
    """
    if len(paths) == 1 and Path(paths[0]).suffix.lower() in (".npy", ".npz"):
        array = open_path(paths[0])
        return array, lambda: [(f"{paths[0]}[{index}]", True) for index in range(len(array))]
    files = ImageFiles(paths[0] if len(paths) == 1 else paths, unreadable)
    return files, lambda: [(str(path), path not in files.skipped) for path in files.paths]


def score_table(rows: Sequence[Row], scores: np.ndarray, p_values: np.ndarray, flags: np.ndarray) -> Columns:
    """Return the columns of the table; an image that was not read has a row too, with nothing in it."""
    values = zip(scores.tolist(), p_values.tolist(), flags.tolist(), strict=True)
    lines = [(name, *(next(values) if was_read else (None, None, None))) for name, was_read in rows]
    return {column: list(cells) for column, cells in zip(COLUMNS, zip(*lines, strict=True), strict=True)}


def writer(path: Path | None) -> Callable[[Columns], None]:
    """Return the function that writes a table to a file of that name, or as CSV to standard output.

    Raises:
        ValueError: The name ends otherwise, or its folder does not exist.
        RuntimeError: Parquet without pyarrow.
    """
    if path is None:
        return lambda columns: _write_csv(sys.stdout, columns)
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"The output file must end with .csv or .parquet. Received: {path}")
    if not path.parent.is_dir():
        raise ValueError(f"The output file's folder must exist. Received: {path}")
    if path.suffix == ".csv":
        return lambda columns: _write_csv_file(path, columns)
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise RuntimeError("Parquet needs pyarrow: pip install 'keras-ood[parquet]'") from error
    return lambda columns: parquet.write_table(pyarrow.table(columns), path)


def _write_csv_file(path: Path, columns: Columns) -> None:
    with open(path, "w", newline="") as file:
        _write_csv(file, columns)


def _write_csv(file: TextIO, columns: Columns) -> None:
    table = csv.writer(file, lineterminator="\n")
    table.writerow(columns)
    table.writerows(zip(*columns.values(), strict=True))
