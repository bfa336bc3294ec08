"""Images of a .zip file."""

import io
import lzma
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from keras_ood.images.array_file import DAMAGED
from keras_ood.images.decoding import DECODING_ERRORS, Decoding
from keras_ood.images.formats import suffixes
from keras_ood.images.path_list import is_hidden
from keras_ood.terminal.printable import printable

MOST_MEMBERS = 20_000
MOST_BYTES = 2**30
"""Of all members together, unpacked."""
MOST_BYTES_OF_ONE = 2**26

# RuntimeError: a member under a password.
_UNREADABLE = (*DECODING_ERRORS, *DAMAGED, RuntimeError, lzma.LZMAError)


class Archive:
    """The image files of an archive, in its order; reading them writes nothing to disk.

    Members that are no image files by name, folders and what is hidden (`keras_ood.images.path_list.PathList`) are left out. Of
    members of one name the last counts, as if they were unpacked.

    Args:
        path: Path of the .zip file.
        decoding: How files become images; the first frame is read.

    Attributes:
        names: Names of the image files, with their folders after slashes, characters that cannot be printed as escapes.
        skipped: `{name: reason}` of those that could not be read in the latest iteration, or unpacked.
        left_out: Number of files that are no images by name.
        frames_left_out: Number of frames after the first that the latest iteration did not read.

    Raises:
        ValueError: No zip file, no image in it, or more than the limits above.
    """

    def __init__(self, path: Path, decoding: Decoding) -> None:
        self.path = path
        self.decoding = decoding
        try:
            with zipfile.ZipFile(path) as archive:
                members = [(_name(member), member) for member in archive.infolist()]
        except DAMAGED as error:
            raise ValueError(f"Expected a .zip file of images. Received: {path.name} ({error})") from error
        members = [
            (name, member) for name, member in members if not (name.endswith("/") or any(map(is_hidden, name.split("/"))))
        ]
        size = sum(member.file_size for _, member in members)
        if len(members) > MOST_MEMBERS or size > MOST_BYTES:
            raise ValueError(
                f"A .zip file may hold {MOST_MEMBERS:,} files and {MOST_BYTES:,} bytes unpacked; `keras-ood score` has no such "
                f"limits. Received: {path.name} with {len(members):,} files and {size:,} bytes"
            )
        self._members = {name: member for name, member in members if PurePosixPath(name).suffix.lower() in suffixes()}
        if not self._members:
            raise ValueError(
                f"Expected a .zip file with images that end with one of {sorted(suffixes())}. Received: {path.name} with "
                f"{len(members)} other files"
            )
        self.names = list(self._members)
        self.skipped: dict[str, str] = {}
        self.left_out = sum(PurePosixPath(name).suffix.lower() not in suffixes() for name, _ in members)
        self.frames_left_out = 0

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield each image, `(height, width, 1 or 3)`, uint8 in 0..255 or float32 in 0..1."""
        self.skipped.clear()
        self.frames_left_out = 0
        with zipfile.ZipFile(self.path) as archive:
            for name, member in self._members.items():
                try:
                    image = next(self.decoding.images(_read(archive, member), self._leave_out))
                except _UNREADABLE as error:
                    self.skipped[name] = str(error)
                else:
                    yield image

    def unpack(self, folder: Path) -> dict[Path, str]:
        """Write the image files into a folder, called by their numbers; return `{path: name}`."""
        self.skipped.clear()
        unpacked = {}
        with zipfile.ZipFile(self.path) as archive:
            for number, (name, member) in enumerate(self._members.items()):
                path = folder / f"{number:05}{PurePosixPath(name).suffix.lower()}"
                try:
                    path.write_bytes(_read(archive, member).getbuffer())
                except _UNREADABLE as error:
                    self.skipped[name] = str(error)
                else:
                    unpacked[path] = name
        return unpacked

    def _leave_out(self, frames: int) -> None:
        self.frames_left_out += frames


def _name(member: zipfile.ZipInfo) -> str:
    r"""The name with slashes, also where Windows wrote `\`; characters that cannot be printed as escapes."""
    return printable(member.filename.replace("\\", "/"))


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> io.BytesIO:
    """A member's bytes, never more than it declares."""
    if member.file_size > MOST_BYTES_OF_ONE:
        raise ValueError(f"An image file may have {MOST_BYTES_OF_ONE:,} bytes. Received: {member.file_size:,}")
    with archive.open(member) as stream:
        return io.BytesIO(stream.read(member.file_size))
