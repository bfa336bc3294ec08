"""Many paths in little memory."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

_CHUNK = 1 << 16


class PathList(Sequence[Path]):
    """The files below a folder whose names end with one of some suffixes, sorted.

    Each takes as many bytes as the longest of their names: a list of a million `Path` objects takes half a gigabyte.

    Args:
        root: The folder, searched to its depths; links to folders are not followed.
        suffixes: Lower-case, with their dot.

    Raises:
        OSError: A folder cannot be read.
    """

    def __init__(self, root: Path, suffixes: frozenset[str]) -> None:
        self.root = root
        chunks: list[np.ndarray] = []
        waiting: list[bytes] = []
        for name in _find(root, suffixes):
            waiting.append(name)
            if len(waiting) == _CHUNK:
                chunks.append(np.array(waiting))
                waiting = []
        self._names = np.concatenate([*chunks, np.array(waiting, dtype=None if waiting else "S1")])
        self._names.sort()

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> list[Path]: ...
    def __getitem__(self, index: int | slice) -> Path | list[Path]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        return self.root / os.fsdecode(self._names[index].replace(b"\0", os.fsencode(os.sep)))


def _find(root: Path, suffixes: frozenset[str]) -> Iterator[bytes]:
    """Yield names relative to `root`, their parts joined by zero bytes: sorted, a folder's files stay together."""
    folders = [""]
    while folders:
        folder = folders.pop()
        with os.scandir(root / folder) as entries:
            for entry in entries:
                name = os.path.join(folder, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(name)
                elif os.path.splitext(entry.name)[1].lower() in suffixes and entry.is_file():
                    yield os.fsencode(name).replace(os.fsencode(os.sep), b"\0")
