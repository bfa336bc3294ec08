"""Scores of images as a table, CSV or Parquet, written as they come."""

import csv
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from keras_ood.batches import open_path
from keras_ood.datasets import ImageFiles

COLUMNS = ("path", "score", "p_value", "ood")
SUFFIXES = (".csv", ".parquet")
_ROW_GROUP = 1 << 16

Row = tuple[str, float | None, float | None, bool | None]


class Names:
    """What each image of a source is called, given out in step with the scores.

    Args:
        names: Of all images in order.
        skipped: Those that could not be read, filled in as the source is read.
    """

    def __init__(self, names: Iterable[Any], skipped: Mapping[Any, str]) -> None:
        self._names, self._skipped = iter(names), skipped

    def rows(self, scores: np.ndarray, p_values: np.ndarray, flags: np.ndarray) -> Iterator[Row]:
        """Yield a row for each score, and one with nothing in it for each skipped image on the way."""
        for values in zip(scores.tolist(), p_values.tolist(), flags.tolist(), strict=True):
            for name in self._names:
                if name not in self._skipped:
                    yield (_printable(name), *values)
                    break
                yield (_printable(name), None, None, None)

    def rest(self) -> Iterator[Row]:
        """Yield the rows of the skipped images after the last score."""
        return ((_printable(name), None, None, None) for name in self._names)


def _printable(name: Any) -> str:
    """A file's name need not be UTF-8; a table's text must."""
    return str(name).encode("utf-8", "backslashreplace").decode()


def open_images(paths: Sequence[str], unreadable: str) -> tuple[Any, Names]:
    """Return a source of images and their names.

    Args:
        paths: One folder, one .npy/.npz file, or image files.
        unreadable: `"raise"` or `"skip"`, see `ImageFiles`.
    """
    if len(paths) == 1 and Path(paths[0]).suffix.lower() in (".npy", ".npz"):
        array = open_path(paths[0])
        return array, Names((f"{paths[0]}[{index}]" for index in range(len(array))), {})
    files = ImageFiles(paths[0] if len(paths) == 1 else paths, unreadable)
    return files, Names(files.paths, files.skipped)


class Table:
    """A file of rows, or CSV on standard output; a context manager. What was written stays when the work fails.

    Args:
        path: Ends with .csv or .parquet, created with the first row; None for standard output.

    Raises:
        ValueError: The name ends otherwise, or its folder does not exist.
        RuntimeError: Parquet without pyarrow.
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None and path.suffix not in SUFFIXES:
            raise ValueError(f"The output file must end with .csv or .parquet. Received: {path}")
        if path is not None and not path.parent.is_dir():
            raise ValueError(f"The output file's folder must exist. Received: {path}")
        if path is not None and path.suffix == ".parquet":
            try:
                import pyarrow.parquet  # noqa: F401
            except ImportError as error:
                raise RuntimeError("Parquet needs pyarrow: pip install 'keras-ood[parquet]'") from error
        self.path = path
        self._file: Any = None
        self._lines: list[Row] = []

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._lines:
            self._write_parquet()
        if self._file is not None and self.path is not None:
            self._file.close()

    def write(self, rows: Iterable[Row]) -> None:
        """Append rows."""
        lines = list(rows)
        if not lines:
            return
        if self.path is not None and self.path.suffix == ".parquet":
            self._lines += lines
            if len(self._lines) >= _ROW_GROUP:
                self._write_parquet()
            return
        if self._file is None:
            self._file = sys.stdout if self.path is None else self.path.open("w", newline="", encoding="utf-8")
            self._write_csv([COLUMNS])
        self._write_csv(lines)

    def _write_csv(self, lines: Sequence[Sequence[Any]]) -> None:
        csv.writer(self._file, lineterminator="\n").writerows(lines)

    def _write_parquet(self) -> None:
        import pyarrow
        from pyarrow import parquet

        types = (pyarrow.string(), pyarrow.float64(), pyarrow.float64(), pyarrow.bool_())
        schema = pyarrow.schema(list(zip(COLUMNS, types, strict=True)))
        if self._file is None:
            self._file = parquet.ParquetWriter(self.path, schema)
        self._file.write_table(pyarrow.table([list(cells) for cells in zip(*self._lines, strict=True)], schema=schema))
        self._lines = []
