"""Scores of images as a table, CSV, JSON Lines or Parquet, written as they come."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from keras_ood.images import Decoding, ImageFiles
from keras_ood.images.sources import open_path
from keras_ood.tables.records import finite
from keras_ood.terminal.printable import as_text

COLUMNS = ("path", "score", "p_value", "ood")
SUFFIXES = (".csv", ".parquet", ".jsonl")
_ROW_GROUP = 1 << 16

Row = tuple[str, float | None, float | None, bool | None]


class Names:
    """What each image of a source is called, given out in step with the scores.

    Args:
        names: Names of all images in order.
        skipped: Those that could not be read, filled in as the source is read.
    """

    def __init__(self, names: Iterable[Any], skipped: Mapping[Any, str]) -> None:
        self._names, self._skipped = iter(names), skipped

    def rows(self, scores: np.ndarray, p_values: np.ndarray, flags: np.ndarray) -> Iterator[Row]:
        """Yield a row for each score, and one with nothing in it for each skipped image on the way."""
        for values in zip(scores.tolist(), p_values.tolist(), flags.tolist(), strict=True):
            for name in self._names:
                if name not in self._skipped:
                    yield (as_text(name), *values)
                    break
                yield (as_text(name), None, None, None)

    def rest(self) -> Iterator[Row]:
        """Yield the rows of the skipped images after the last score."""
        return ((as_text(name), None, None, None) for name in self._names)


def open_images(
    paths: Sequence[str], unreadable: str = "raise", decoding: Decoding | None = None, start: int = 0
) -> tuple[Any, Names]:
    """Return a source of images and their names.

    Args:
        paths: One .npy/.npz file, or folders and image files.
        unreadable: `"raise"` or `"skip"`, see `ImageFiles`.
        decoding: How files become images.
        start: How many images to leave out at the beginning.
    """
    is_array = len(paths) == 1 and Path(paths[0]).suffix.lower() in (".npy", ".npz")
    source = open_path(paths[0]) if is_array else ImageFiles(paths, unreadable, decoding)
    if start and start >= len(source):
        raise ValueError(f"`--start` must be below the number of images, {len(source)}. Received: {start}")
    if is_array:
        names = (f"{paths[0]}[{index}]" for index in range(start, len(source)))
        return (_Rest(source, start) if start else source), Names(names, {})
    source.start_at(start)
    return source, Names(source.names, source.skipped)


class _Rest:
    """An array, or an array file, without its first rows; read by slices."""

    def __init__(self, array: Any, start: int) -> None:
        self.shape = (len(array) - start, *array.shape[1:])
        self._array, self._start = array, start

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: slice) -> np.ndarray:
        return np.asarray(self._array[self._start + index.start : self._start + index.stop])


class Table:
    """A file of rows, or a stream of them; a context manager. What was written stays when the work fails.

    Args:
        path: Ends with one of `SUFFIXES`, created with the first row; None for `stream`.
        stream: Where rows go without a path.
        suffix: Ending of the stream: `".csv"` or `".jsonl"`.

    Attributes:
        rows: How many were written.

    Raises:
        ValueError: The name ends otherwise, or its folder does not exist.
        RuntimeError: Parquet without pyarrow.
    """

    def __init__(self, path: Path | None, stream: IO[str] | None = None, suffix: str = ".csv") -> None:
        self._suffix = suffix if path is None else path.suffix
        if self._suffix not in SUFFIXES:
            raise ValueError(f"The output file must end with {' or '.join(SUFFIXES)}. Received: {path}")
        if path is not None and not path.parent.is_dir():
            raise ValueError(f"The output file's folder must exist. Received: {path}")
        if self._suffix == ".parquet":
            try:
                import pyarrow.parquet  # noqa: F401
            except ImportError as error:
                raise RuntimeError("Parquet needs pyarrow: pip install 'keras-ood[parquet]'") from error
        self.rows = 0
        self._path = path
        self._file: Any = stream if path is None else None
        self._lines: list[Row] = []

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._lines:
            self._write_parquet()
        if self._file is not None and self._path is not None:
            self._file.close()

    def write(self, rows: Iterable[Row]) -> None:
        """Append rows."""
        lines = list(rows)
        if not lines:
            return
        if self._suffix == ".parquet":
            self._lines += lines
            if len(self._lines) >= _ROW_GROUP:
                self._write_parquet()
        else:
            self._write_text(lines)
        self.rows += len(lines)

    def _write_text(self, lines: list[Row]) -> None:
        if self._file is None:
            assert self._path is not None, "a table has a path or a stream"
            self._file = self._path.open("w", newline="", encoding="utf-8")
        if self._suffix == ".jsonl":
            self._file.writelines(json.dumps(finite(dict(zip(COLUMNS, line, strict=True)))) + "\n" for line in lines)
        else:
            csv.writer(self._file, lineterminator="\n").writerows([COLUMNS, *lines] if not self.rows else lines)
        self._file.flush()

    def _write_parquet(self) -> None:
        import pyarrow
        from pyarrow import parquet

        types = (pyarrow.string(), pyarrow.float64(), pyarrow.float64(), pyarrow.bool_())
        schema = pyarrow.schema(list(zip(COLUMNS, types, strict=True)))
        if self._file is None:
            self._file = parquet.ParquetWriter(self._path, schema)
        self._file.write_table(pyarrow.table([list(cells) for cells in zip(*self._lines, strict=True)], schema=schema))
        self._lines = []
