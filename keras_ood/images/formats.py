"""Which image formats are read: those that the installed Pillow decodes itself."""

import contextlib
import functools

from PIL import Image, features

HEIF = frozenset({".heic", ".heics", ".heif", ".heifs", ".hif"})
"""Suffixes that the extra `heif` adds."""

# Only identified by Pillow, handed to another program, or (FITS, IPTC) read with the bytes of a number in the wrong order.
_NOT_DECODED = frozenset({"BUFR", "EPS", "FITS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"})
_NEEDS = {"AVIF": "avif", "JPEG": "jpg", "JPEG2000": "jpg_2000", "WEBP": "webp"}  # parts that a Pillow may be built without
_OPENED_BY = {"MPO": "JPEG"}


@functools.cache
def readable() -> tuple[str, ...]:
    """Return the formats by Pillow's names, in the order in which they are tried."""
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    Image.init()
    named = {_OPENED_BY.get(name, name) for name in Image.registered_extensions().values()} - _NOT_DECODED
    return tuple(name for name in Image.ID if name in named and (name not in _NEEDS or features.check(_NEEDS[name])))


@functools.cache
def suffixes() -> frozenset[str]:
    """Return the suffixes of image files that are read, lower-case, with their dot."""
    formats = readable()
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if _OPENED_BY.get(name, name) in formats)


def hint(suffix: str) -> str:
    """Return what would have a suffix read, in parentheses; nothing where it is read, or nothing would."""
    return " (pip install 'keras-ood[heif]')" if suffix.lower() in HEIF - suffixes() else ""
