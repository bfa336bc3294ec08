"""A source of images that has none."""

from collections.abc import Iterable
from typing import TypeVar

Part = TypeVar("Part")


class NoImagesError(ValueError):
    """Image files of which none could be read, where unreadable ones are skipped."""


def at_least_one(parts: Iterable[Part]) -> list[Part]:
    """Return what was made of the batches of a source, of one batch at least.

    Raises:
        NoImagesError: There was none.
    """
    found = list(parts)
    if not found:
        raise NoImagesError("Expected one image at least. Received: image files of which none could be read")
    return found
