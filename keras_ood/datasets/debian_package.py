"""Files of a Debian package, read without installing it."""

import io
import lzma
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

_MAGIC, _HEADER = b"!<arch>\n", 60  # of an archive of Unix `ar`, see ar(5), deb(5)
_DAMAGED = (EOFError, OSError, ValueError, lzma.LZMAError, tarfile.TarError)


def read_package(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Yield `(path in the package, content)` of its files in their order.

    Args:
        path: A `.deb` file whose data are compressed in a way that `tarfile` reads: xz, gzip, bzip2 or not at all.
        wanted: Says by a path, such as `"usr/share/doc/hello/copyright"`, whether a file is wanted.

    Raises:
        ValueError: No such package, or a damaged one.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(_data(path))) as files:
            for member in files:
                name = member.name.removeprefix("./")
                if member.isfile() and wanted(name):
                    yield name, files.extractfile(member).read()  # type: ignore[union-attr]  # it is a file
    except _DAMAGED as error:
        raise ValueError(f"Expected a Debian package. Received: {path} ({error})") from error


def _data(path: Path) -> bytes:
    """The member `data.tar.*` of the outer archive."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError("no ar archive")
        while len(header := file.read(_HEADER)) == _HEADER:
            size = int(header[48:58])
            if header.startswith(b"data.tar"):
                return file.read(size)
            file.seek(size + size % 2, io.SEEK_CUR)  # members begin at even places
    raise ValueError("no data.tar in it")
