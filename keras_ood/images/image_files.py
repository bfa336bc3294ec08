"""Image files of a folder, read one at a time."""

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from keras_ood.images.path_list import PathList

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
UNREADABLE = ("raise", "skip")
DECODING_ERRORS = (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError)


class UnreadableImageError(ValueError):
    """A file that should be an image cannot be decoded."""


class ImageFiles:
    """A source of images for every method of a detector that takes images.

    Args:
        path: A folder (searched to its depths, in sorted order), an image file, or a sequence of image files.
        unreadable: What a file that cannot be decoded does: `"raise"` an `UnreadableImageError` that names it, or
            `"skip"`: it is named in a warning and kept in `skipped`.

    Attributes:
        paths: The files, in the order in which they are read.
        skipped: `{path: reason}` of the files passed over in the latest iteration.
    """

    def __init__(self, path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], unreadable: str = "raise") -> None:
        if unreadable not in UNREADABLE:
            raise ValueError(f"`unreadable` must be one of {UNREADABLE}. Received: {unreadable!r}")
        self.paths = _find(path)
        self.unreadable = unreadable
        self.skipped: dict[Path, str] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield each image as uint8 `(height, width, 1 or 3)`."""
        self.skipped.clear()
        for path in self.paths:
            try:
                yield decode(path)
            except DECODING_ERRORS as error:
                if self.unreadable == "raise":
                    raise UnreadableImageError(
                        f"Cannot decode an image file. Accepted: {sorted(SUFFIXES)}; pass "
                        f'`ImageFiles(path, unreadable="skip")` to go on without it. Received: {path} ({error})'
                    ) from error
                self.skipped[path] = str(error)
                warnings.warn(f"Skipped an unreadable image: {path} ({error})", stacklevel=2)

    @property
    def read_paths(self) -> list[Path]:
        """The files that the latest full iteration did read: one for each score."""
        return [path for path in self.paths if path not in self.skipped]


def _find(path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> Sequence[Path]:
    if isinstance(path, (str, os.PathLike)):
        root = Path(path)
        if root.is_dir():
            found = PathList(root, SUFFIXES)
            if not found:
                raise ValueError(f"A folder of images needs files that end with one of {sorted(SUFFIXES)}. Received: {root}")
            return found
        path = [root]
    paths = [Path(file) for file in path]
    missing = [str(file) for file in paths if not file.is_file()]
    if missing or not paths:
        raise FileNotFoundError(f"Expected a folder or image files that exist. Received: {missing or 'an empty list'}")
    return paths


def decode(file: str | os.PathLike[str] | IO[bytes]) -> np.ndarray:
    """Return an image file, or a stream of its bytes, as uint8 `(height, width, 1 or 3)`; raises `DECODING_ERRORS`."""
    with Image.open(file) as image:
        if image.mode.startswith(("I", "F")):  # 16 or 32 bits a pixel: convert() would clip, not scale
            raise ValueError(f"8 bits a channel are accepted, this image has mode {image.mode!r}")
        grey = image.mode in ("1", "L", "LA")
        # Pillow warns of a palette with transparency that goes straight to RGB.
        source = image.convert("RGBA") if image.mode == "P" and "transparency" in image.info else image
        pixels = np.asarray(source.convert("L" if grey else "RGB"))
    return pixels[..., None] if grey else pixels
