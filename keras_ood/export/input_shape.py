"""Which images an exported model takes."""

from collections.abc import Iterable
from typing import Any

from keras_ood.terminal.numbers import is_whole

InputShape = tuple[int | None, int | None, int]
"""`(height, width, channels)`; height and width None for images of any size."""


def checked(shape: Any) -> InputShape:
    """Return the shape of the images that an exported model shall take.

    Raises:
        ValueError: It is none.
    """
    given = tuple(shape) if isinstance(shape, Iterable) else ()
    if len(given) == 3 and given[2] in (1, 3):
        if given[:2] == (None, None):
            return (None, None, int(given[2]))
        if all(is_whole(size, 1) for size in given):
            height, width, channels = map(int, given)
            return height, width, channels
    raise ValueError(
        "`image_shape` must be (height, width, channels) with 1 or 3 channels, or (None, None, channels) for images of any "
        f"size. Received: {shape}"
    )
