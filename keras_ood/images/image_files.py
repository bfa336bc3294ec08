"""Image files of folders, read one at a time."""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, repeat
from pathlib import Path

import numpy as np

from . import formats  # relative, and without Keras and SciPy: the runner in runtime/ has this file, too
from .decoding import DECODING_ERRORS, Decoding
from .image_warning import ImageWarning
from .path_list import PathList

UNREADABLE = ("raise", "skip")

PathLike = str | os.PathLike[str]


class UnreadableImageError(ValueError):
    """A file that should be an image cannot be decoded."""


class ImageFiles:
    """A source of images for every method of a detector that takes images.

    Files that are no images by name, and links that lead nowhere, are left out and counted in a warning.

    Args:
        path: A folder, an image file, or a sequence of folders and files. A folder is searched to its depths, in sorted order;
            what is hidden there is no data, see `keras_ood.images.path_list.PathList`.
        unreadable: What a file that cannot be decoded does: `"raise"` an `UnreadableImageError` that names it, or
            `"skip"`: it is named in a warning and kept in `skipped`.
        decoding: How files become images.

    Attributes:
        paths: The files, in the order in which they are read.
        left_out: `{suffix: number}` of the files in folders that are no images by name.
        broken_links: The links in folders that lead nowhere.
        skipped: `{name: reason}` of what the latest iteration passed over: files, or frames of them as `names` has them.
        frames_left_out: Number of frames that the latest iteration did not read, with `frames="first"`.
    """

    def __init__(
        self, path: PathLike | Sequence[PathLike], unreadable: str = "raise", decoding: Decoding | None = None
    ) -> None:
        if unreadable not in UNREADABLE:
            raise ValueError(f"`unreadable` must be one of {UNREADABLE}. Received: {unreadable!r}")
        self.unreadable = unreadable
        self.decoding = Decoding() if decoding is None else decoding
        self.left_out: Counter[str] = Counter()
        self.broken_links: list[Path] = []
        self.paths = self._find(path)
        self.skipped: dict[Path, str] = {}
        self.frames_left_out = 0
        self._first = 0
        self._counts: np.ndarray | None = None  # images of each file, once somebody asks for all frames

    def __len__(self) -> int:
        """The number of images, those included that turn out to be unreadable."""
        total = len(self.paths) if self.decoding.frames == "first" else int(self._counted().sum())
        return total - self._first

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield each image, `(height, width, 1 or 3)`, uint8 in 0..255 or float32 in 0..1."""
        return self._images(self.decoding.images)

    def resized(self, size: tuple[int, int], aspect: str = "stretch") -> Iterator[np.ndarray]:
        """Yield each image at `(height, width)`, resized by a rule to float32 in 0..1; one of that size as iteration does.

        All but small ones are decoded and resized in threads, a few files ahead, see `keras_ood.images.read_ahead`.
        """
        from .read_ahead import ReadAhead  # here: it imports SciPy, which the runner does without

        with ReadAhead(self.decoding, (path for path, _, _ in self._wanted()), size, aspect) as ahead:
            yield from self._images(ahead.images)

    def _images(self, read: Callable[[Path, Callable[[int], None]], Iterator[np.ndarray]]) -> Iterator[np.ndarray]:
        self.skipped.clear()
        self.frames_left_out = 0
        for path, count, first in self._wanted():
            done = 0
            try:
                for image in islice(read(path, self._leave_out), count):
                    done += 1
                    if done > first:
                        yield image
            except DECODING_ERRORS as error:
                self._pass_over(path, count, max(done, first), error)
            else:
                if done < count:
                    self._pass_over(path, count, max(done, first), ValueError("the file changed while it was read"))
        if self.frames_left_out:
            message = (
                f"{self.frames_left_out:,} further frames of image files were left out; "
                'frames="all", or --frames all at a shell, takes each.'
            )
            warnings.warn(message, ImageWarning, stacklevel=2)

    @property
    def names(self) -> Iterator[Path]:
        """What each image is called, in order: the file, or `file[0]`, `file[1]`, ... of one that gives several."""
        every = (name for path, count in self._with_counts() for name in _names(path, count))
        return islice(every, self._first, None)

    @property
    def read_paths(self) -> list[Path]:
        """The names of the images that the latest full iteration did read: one for each score."""
        return [name for name in self.names if name not in self.skipped]

    @property
    def omitted(self) -> dict[str, int]:
        """Numbers of what the latest full iteration did not read: `skipped` images, files and frames `left_out`."""
        left_out = sum(self.left_out.values()) + len(self.broken_links)
        return {"skipped": len(self.skipped), "left_out": left_out, "frames_left_out": self.frames_left_out}

    def start_at(self, first: int) -> None:
        """Leave out the first images, so many, from now on."""
        self._first = first

    def _wanted(self) -> Iterator[tuple[Path, int, int]]:
        """Yield each file that is read, how many images it gives, and how many of them are left out at the start."""
        first = self._first
        for path, count in self._with_counts():
            if first < count:
                yield path, count, first
            first = max(0, first - count)

    def _with_counts(self) -> Iterator[tuple[Path, int]]:
        """Yield each file and how many images it gives."""
        if self.decoding.frames == "first":
            return zip(self.paths, repeat(1))
        return zip(self.paths, map(int, self._counted()), strict=True)

    def _counted(self) -> np.ndarray:
        if self._counts is None:
            self._counts = np.fromiter(map(self._count, self.paths), np.int64, len(self.paths))
        return self._counts

    def _count(self, path: Path) -> int:
        try:
            return self.decoding.count(path)
        except DECODING_ERRORS:
            return 1  # reading it says what is wrong

    def _leave_out(self, frames: int) -> None:
        self.frames_left_out += frames

    def _pass_over(self, path: Path, count: int, start: int, error: Exception) -> None:
        """Report what cannot be read of a file: all from its image number `start` on."""
        names = list(_names(path, count))[start:]
        reason = f"{str(error) or type(error).__name__}{formats.hint(path.suffix)}"
        if self.unreadable == "raise":
            raise UnreadableImageError(
                f'Cannot decode an image file; pass `unreadable="skip"`, or --unreadable skip at a shell, to go on without it. '
                f"Accepted: {sorted(formats.suffixes())}. Received: {names[0]} ({reason})"
            ) from error
        self.skipped.update(dict.fromkeys(names, reason))
        warnings.warn(f"Skipped an unreadable image: {names[0]} ({reason})", ImageWarning, stacklevel=3)

    def _find(self, path: PathLike | Sequence[PathLike]) -> Sequence[Path]:
        given = [Path(path)] if isinstance(path, (str, os.PathLike)) else [Path(each) for each in path]
        missing = [str(each) for each in given if not each.exists()]
        if missing or not given:
            raise FileNotFoundError(f"Expected a folder or image files that exist. Received: {missing or 'an empty list'}")
        found = PathList(given, formats.suffixes())
        self.left_out, self.broken_links = found.left_out, found.broken_links
        if message := left_out_in_words(found.left_out, found.broken_links):
            warnings.warn(message, ImageWarning, stacklevel=3)
        if not found:
            raise ValueError(
                f"A folder of images needs files that end with one of {sorted(formats.suffixes())}. "
                f"Received: {', '.join(map(str, given))}"
            )
        return found


def left_out_in_words(left_out: Counter[str], broken_links: Sequence[Path] = ()) -> str:
    """Return a sentence on files that are no images by name and on links that lead nowhere; nothing where there are none."""
    parts = [
        f"{count:,} {suffix or 'without a suffix'}{formats.hint(suffix)}"
        for suffix, count in sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    ]
    if broken_links:
        parts.append(f"links that lead nowhere: {', '.join(map(str, broken_links))}")
    return f"Left out, no image files by name: {'; '.join(parts)}." if parts else ""


def _names(path: Path, count: int) -> Iterator[Path]:
    return (path if count == 1 else path.with_name(f"{path.name}[{index}]") for index in range(count))
