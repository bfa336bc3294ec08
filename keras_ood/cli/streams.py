"""Where the images of a stream come from: a folder that grows, a table of scores, lines on standard input."""

import csv
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from keras_ood.images.image_warning import ImageWarning

POLL = 1.0
"""Seconds between two looks at a folder that is followed."""

_SHOWN = 200  # bytes of a line that is refused


class Item(NamedTuple):
    """An image of a stream: a file to be scored, or a score, perhaps with what it is of."""

    path: str | None
    score: float | None


class Batch(NamedTuple):
    """What has come of a stream.

    Attributes:
        items: The next images, in order.
        position: From where to go on after them: see `open_stream`.
        skipped: How many images among them have no score, for they could not be read.
    """

    items: list[Item]
    position: str | int | None = None
    skipped: int = 0


def check_stream(source: str, follow: bool) -> None:
    """Refuse what is no stream, before a detector is loaded for it.

    Args:
        source: As in `open_stream`.
        follow: As there.

    Raises:
        ValueError: It is something else, or no folder is followed.
    """
    path = Path(source)
    if follow and not path.is_dir():
        raise ValueError(f"`--follow` waits for files of a folder. Received: {source}")
    if source != "-" and not path.is_dir() and not (path.is_file() and path.suffix.lower() in _READERS):
        raise ValueError(
            "SOURCE is a folder of images, a .csv or .jsonl file with the scores of `keras-ood score`, or - for lines on "
            f"standard input. Received: {source}"
        )


def open_stream(source: str, size: int, follow: bool, position: str | int | None) -> Iterator[Batch]:
    """Return the batches of a stream, of at most `size` images each.

    Args:
        source: A folder, whose files are taken in the order of their names; a .csv or .jsonl file with scores; `"-"` for
            standard input.
        size: As above.
        follow: Wait for further files of a folder, for ever.
        position: That of a batch, to go on behind it; None for the beginning. Standard input has none.
    """
    path = Path(source)
    if source == "-":
        return (batch._replace(position=None) for batch in _of_lines(sys.stdin.buffer, size, 0))
    if path.is_dir():
        return _of_folder(path, size, follow, position if isinstance(position, str) else "")
    return _READERS[path.suffix.lower()](path, size, position if isinstance(position, int) else 0)


def _of_folder(folder: Path, size: int, follow: bool, last: str) -> Iterator[Batch]:
    from keras_ood.images import formats
    from keras_ood.images.path_list import PathList

    before: dict[Path, tuple[int, int]] = {}
    passed: int | None = None
    while True:
        found = PathList([folder], formats.suffixes())
        new = [path for path in found if _order(folder, path) > last]
        if passed is not None and len(found) - len(new) > passed:
            warnings.warn(
                f"{len(found) - len(new) - passed} files have come whose names sort before that of the last image; they are "
                f"left out: names must sort in the order in which files come. Last: {last}",
                ImageWarning,
                stacklevel=2,
            )
        if follow:  # what is still being written waits, and what comes after it
            sizes = _sizes(new)
            new = [path for path in new if path in sizes]
            written = next((place for place, path in enumerate(new) if before.get(path) != sizes[path]), len(new))
            before, new = sizes, new[:written]
        passed = len(found) - len(before) if follow else 0
        for start in range(0, len(new), size):
            some = new[start : start + size]
            last = _order(folder, some[-1])
            passed += len(some)
            yield Batch([Item(str(path), None) for path in some], last)
        if not follow:
            return
        time.sleep(POLL)


def _sizes(paths: list[Path]) -> dict[Path, tuple[int, int]]:
    """Size and time of change of files, but of those that have vanished."""
    sizes = {}
    for path in paths:
        with suppress(FileNotFoundError):
            status = path.stat()
            sizes[path] = status.st_size, status.st_mtime_ns
    return sizes


def _order(folder: Path, path: Path) -> str:
    """What files are sorted by: their name below the folder, the parts of a folder together."""
    return str(path.relative_to(folder)).replace(os.sep, "\0")


def _of_table(path: Path, size: int, start: int) -> Iterator[Batch]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if "score" not in (rows.fieldnames or ()):
            raise ValueError(
                "A table of scores has a column `score`, as `keras-ood score` writes it. "
                f"Received: {path} with {rows.fieldnames}"
            )
        items = (_item(row["score"], row.get("path")) for row in rows)
        try:
            yield from _batches(islice(items, start, None), size, start)
        except csv.Error as error:
            raise ValueError(f"Expected a table of scores in CSV. Received: {path} ({error})") from error


def _of_line_file(path: Path, size: int, start: int) -> Iterator[Batch]:
    with path.open("rb") as file:
        yield from _of_lines(file, size, start)


def _of_lines(stream: BinaryIO, size: int, start: int) -> Iterator[Batch]:
    """Yield what lines say as soon as they are there, the first `start` of them left out."""
    rest, done = b"", 0
    while True:
        chunk = stream.read1(1 << 16)  # type: ignore[attr-defined]
        *lines, rest = (rest + chunk).split(b"\n") if chunk else (rest, b"")
        items = [_read(line.strip()) for line in lines if line.strip()]
        yield from _batches(items[max(0, start - done) :], size, max(start, done))
        done += len(items)
        if not chunk:
            return


def _read(line: bytes) -> Item | None:
    """What a line says: a number is a score, an object has one, anything else is a path; None for an image without a score."""
    if line.startswith(b"{"):
        try:
            said = json.loads(line)
            return _item(said["score"], said.get("path"))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            shown = os.fsdecode(line[:_SHOWN])
            raise ValueError(f'A line in JSON has its score: {{"score": 312.5}}. Received: {shown}') from error
    try:
        return Item(None, float(line))
    except ValueError:
        return Item(os.fsdecode(line), None)


def _item(score: str | float | None, path: str | None) -> Item | None:
    if score is None or score == "":
        return None
    try:
        return Item(path, float(score))
    except ValueError:
        raise ValueError(f"A score is a number. Received: {score!r} of {path}") from None


def _batches(items: Iterable[Item | None], size: int, start: int) -> Iterator[Batch]:
    items = iter(items)
    while some := list(islice(items, size)):
        start += len(some)
        yield Batch([item for item in some if item is not None], start, some.count(None))


_READERS: dict[str, Callable[[Path, int, int], Iterator[Batch]]] = {".csv": _of_table, ".jsonl": _of_line_file}
