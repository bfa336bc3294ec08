"""Files inside a binary resource file of Qt (`.rcc`)."""

import struct
import zlib
from collections.abc import Iterator

_MAGIC = b"qres"
_COMPRESSED, _DIRECTORY, _ZSTANDARD = 1, 2, 4  # flags of a node
_NODE = {1: 14, 2: 22, 3: 22}  # bytes by the version of the format
_DAMAGED = (IndexError, UnicodeDecodeError, struct.error, zlib.error, RecursionError)


def read_resources(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield `(path, content)` of the files, folder by folder.

    The layout is that of Qt's resource compiler, `src/tools/rcc/rcc.cpp`: a tree of nodes, names in UTF-16, and data, each
    found by an offset in the header.

    Args:
        content: The bytes of the `.rcc` file, of version 1 to 3.

    Raises:
        ValueError: No such file, a damaged one, or one with files compressed by Zstandard.
    """
    try:
        magic, version, tree, data, names = struct.unpack_from(">4sIIII", content)
        if magic != _MAGIC or version not in _NODE:
            raise ValueError(f"Expected a resource file of Qt, version 1, 2 or 3. Received: {content[:8]!r}...")
        yield from _walk(content, (tree, data, names, _NODE[version]), 0, "")
    except _DAMAGED as error:
        raise ValueError(f"Expected a whole resource file of Qt. Received: {len(content):,} bytes ({error})") from error


def _walk(content: bytes, places: tuple[int, int, int, int], node: int, folder: str) -> Iterator[tuple[str, bytes]]:
    tree, data, names, size = places
    place = tree + node * size
    name_at, flags = struct.unpack_from(">IH", content, place)
    path = f"{folder}{_name(content, names + name_at)}" if node else ""  # the root has no name
    if flags & _DIRECTORY:
        children, first = struct.unpack_from(">II", content, place + 6)
        for child in range(first, first + children):
            yield from _walk(content, places, child, f"{path}/" if path else "")
        return
    if flags & _ZSTANDARD:
        raise ValueError(f"Expected files compressed by zlib or not at all. Received: {path}, by Zstandard")
    (data_at,) = struct.unpack_from(">I", content, place + 10)
    (length,) = struct.unpack_from(">I", content, data + data_at)
    start = data + data_at + 4
    found = content[start : start + length]
    if len(found) < length:
        raise IndexError(f"{path} ends early")
    yield path, zlib.decompress(found[4:]) if flags & _COMPRESSED else found  # four bytes of the size before


def _name(content: bytes, place: int) -> str:
    (length,) = struct.unpack_from(">H", content, place)
    return content[place + 6 : place + 6 + 2 * length].decode("utf-16-be")
