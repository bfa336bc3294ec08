"""Images of a .zip file, read without unpacking it."""

import io
import lzma
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from keras_ood.app.uploads import DECODING, MOST_BYTES_OF_ONE
from keras_ood.images.array_file import DAMAGED
from keras_ood.images.decoding import DECODING_ERRORS
from keras_ood.images.formats import suffixes

MOST_MEMBERS = 20_000
MOST_BYTES = 2**30
"""Of all members together, unpacked."""

# RuntimeError: a member under a password.
_UNREADABLE = (*DECODING_ERRORS, *DAMAGED, RuntimeError, lzma.LZMAError)


class Archive:
    """The image files of an archive, in its order; nothing is written to disk.

    Members that are no image files by name, folders and what macOS adds are left out. Of members of one name the last counts,
    as if they were unpacked.

    Args:
        path: Path of the .zip file.

    Attributes:
        names: Names of the image files, with their folders.
        skipped: `{name: reason}` of those that could not be read in the latest iteration.
        left_out: Number of files that are no images by name.

    Raises:
        ValueError: No zip file, no image in it, or more than the limits above.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                members = [member for member in archive.infolist() if not member.is_dir() and not _of_macos(member.filename)]
        except DAMAGED as error:
            raise ValueError(f"Expected a .zip file of images. Received: {path.name} ({error})") from error
        size = sum(member.file_size for member in members)
        if len(members) > MOST_MEMBERS or size > MOST_BYTES:
            raise ValueError(
                f"A .zip file may hold {MOST_MEMBERS:,} files and {MOST_BYTES:,} bytes unpacked; `keras-ood score` has no such "
                f"limits. Received: {path.name} with {len(members):,} files and {size:,} bytes"
            )
        self._members = {
            member.filename: member for member in members if PurePosixPath(member.filename).suffix.lower() in suffixes()
        }
        if not self._members:
            raise ValueError(
                f"Expected a .zip file with images that end with one of {sorted(suffixes())}. Received: {path.name} with "
                f"{len(members)} other files"
            )
        self.names = list(self._members)
        self.skipped: dict[str, str] = {}
        self.left_out = len(members) - len(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield each image as uint8 `(height, width, 1 or 3)`."""
        self.skipped.clear()
        with zipfile.ZipFile(self.path) as archive:
            for name, member in self._members.items():
                try:
                    image = DECODING.image(_read(archive, member))
                except _UNREADABLE as error:
                    self.skipped[name] = str(error)
                else:
                    yield image


def _of_macos(name: str) -> bool:
    return "__MACOSX" in PurePosixPath(name).parts


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> io.BytesIO:
    """A member's bytes, never more than it declares."""
    if member.file_size > MOST_BYTES_OF_ONE:
        raise ValueError(f"An image file may have {MOST_BYTES_OF_ONE:,} bytes. Received: {member.file_size:,}")
    with archive.open(member) as stream:
        return io.BytesIO(stream.read(member.file_size))
