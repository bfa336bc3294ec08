"""Many paths in little memory."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

_CHUNK = 1 << 16
_OF_THE_SYSTEM = frozenset({"__macosx", "thumbs.db", "desktop.ini"})


class PathList(Sequence[Path]):
    """Files, and those below folders whose names end with one of some suffixes, each folder's sorted.

    Each takes as many bytes as the longest of their names: a list of a million `Path` objects takes half a gigabyte.

    What is hidden in a folder is passed over: names that begin with a dot, `__MACOSX`, `Thumbs.db` and `desktop.ini`. A link to
    a folder is followed, but no folder is searched twice, however many ways lead to it: what is no link comes first, then links
    in sorted order.

    Args:
        given: Folders, and files, which are taken whatever their names.
        suffixes: Lower-case, with their dot.

    Attributes:
        left_out: `{suffix: number}` of the files in folders with other suffixes.
        broken_links: Links in folders that lead nowhere.

    Raises:
        OSError: A folder cannot be read.
    """

    def __init__(self, given: Sequence[Path], suffixes: frozenset[str]) -> None:
        self.left_out: Counter[str] = Counter()
        self.broken_links: list[Path] = []
        self._suffixes = suffixes
        self._parts: list[_Folder | list[Path]] = []
        for path in given:
            if path.is_dir():
                self._parts.append(_Folder(path))
            elif self._parts and isinstance(self._parts[-1], list):
                self._parts[-1].append(path)
            else:
                self._parts.append([path])
        folders = [part for part in self._parts if isinstance(part, _Folder)]
        self._search(folders)
        for folder in folders:
            folder.sort()
        self.broken_links.sort()
        self._ends = np.cumsum([len(part) for part in self._parts], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> list[Path]: ...
    def __getitem__(self, index: int | slice) -> Path | list[Path]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        part = int(np.searchsorted(self._ends, index, side="right"))
        return self._parts[part][index - int(self._ends[part]) + len(self._parts[part])]

    def __iter__(self) -> Iterator[Path]:
        for part in self._parts:
            yield from (part[index] for index in range(len(part)))

    def _search(self, folders: Sequence["_Folder"]) -> None:
        """Fill folders with the names below them, those that are no links first, then links in sorted order."""
        seen: set[tuple[int, int]] = set()
        waiting = [(folder, "") for folder in folders]
        while waiting:
            links: list[tuple[_Folder, str]] = []
            for folder, name in waiting:
                links += self._walk(folder, name, seen)
            waiting = sorted(links, key=lambda link: (folders.index(link[0]), link[1]))

    def _walk(self, folder: "_Folder", start: str, seen: set[tuple[int, int]]) -> Iterator[tuple["_Folder", str]]:
        """Add the files below `start`, and yield the links to folders there."""
        names = [start]
        while names:
            here = names.pop()
            status = os.stat(folder.root / here)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder.root / here) as entries:
                for entry in entries:
                    name = os.path.join(here, entry.name)
                    if is_hidden(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        names.append(name)
                    elif entry.is_symlink() and not os.path.exists(entry.path):
                        self.broken_links.append(folder.root / name)
                    elif entry.is_dir():
                        yield folder, name
                    elif entry.is_file():
                        suffix = os.path.splitext(entry.name)[1].lower()
                        if suffix in self._suffixes:
                            folder.add(name)
                        else:
                            self.left_out[suffix] += 1


class _Folder:
    """The files below a folder: one array of their names, zero bytes between the parts, so that a folder's stay together."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._chunks: list[np.ndarray] = []
        self._waiting: list[bytes] = []
        self._names = np.empty(0, "S1")

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> Path:
        return self.root / os.fsdecode(self._names[index].replace(b"\0", os.fsencode(os.sep)))

    def add(self, name: str) -> None:
        self._waiting.append(os.fsencode(name).replace(os.fsencode(os.sep), b"\0"))
        if len(self._waiting) == _CHUNK:
            self._chunks.append(np.array(self._waiting))
            self._waiting = []

    def sort(self) -> None:
        """Make one sorted array of the names that were added."""
        if self._waiting:
            self._chunks.append(np.array(self._waiting))
        if self._chunks:
            self._names = np.concatenate(self._chunks)
            self._names.sort()
        self._chunks, self._waiting = [], []


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is no data: hidden, or of the operating system."""
    return (name.startswith(".") and name not in (".", "..")) or name.lower() in _OF_THE_SYSTEM
