"""Random views of images, as self-supervision compares them."""

import math
from typing import Any

from keras import ops

from keras_ood.images.preprocessing import LUMINANCE

DRAWS = 11
"""Numbers in 0..1 that a view is drawn from."""

SMALLEST, STRETCH = 0.25, 4 / 3  # share of the image that a crop has at least; ratio of its sides at most
CONTRAST, BRIGHTNESS, GREY = 0.5, 0.2, 0.2  # changes at most; the share of grey views


def view(images: Any, turns: Any, draws: Any, flips: bool = False) -> Any:
    """Return a view of each image: turned, a part of it at full size, its colours changed; float in 0..1.

    An output pixel at (x, y) from the centre shows the image at

        (scale_x (cos x - sin y) + shift_x, scale_y (sin x + cos y) + shift_y),    bilinear,

    with the angle `90 turns` degrees, against the clock as in `np.rot90`, and the crop's scales and shifts. Then
    `contrast (value - mean) + mean + brightness`, the mean that of the image, the brightness one of each channel, and of
    RGB a mixture with its luminance. All is a function of the arguments.

    Args:
        images: `(batch, side, side, 1 or 3)`, float in 0..1.
        turns: `(batch,)`, quarter turns, 0 to 3.
        draws: `(batch, DRAWS)`, uniform in 0..1.
        flips: Whether half of the views are seen in a mirror.

    Source: Chen, Kornblith, Norouzi, Hinton, "SimCLR", arXiv 2002.05709.
    """
    area, ratio, left, top, mirror, contrast, saturation, grey, *brightness = ops.split(draws, DRAWS, axis=1)
    images = _cut(images, turns, area, ratio, left, top, ops.where(mirror < 0.5, -1.0, 1.0) if flips else 1.0)
    channels = images.shape[-1]
    mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
    shift = BRIGHTNESS * (2 * ops.concatenate(brightness[:channels], axis=1) - 1)
    images = (1 + CONTRAST * (2 * _each(contrast) - 1)) * (images - mean) + mean + shift[:, None, None, :]
    if channels == 3:
        luminance = ops.sum(images * ops.array(LUMINANCE, images.dtype), axis=-1, keepdims=True)
        kept = _each(ops.where(grey < GREY, 0.0, 0.5 + saturation))
        images = luminance + kept * (images - luminance)
    return ops.clip(images, 0.0, 1.0)


def _cut(images: Any, turns: Any, area: Any, ratio: Any, left: Any, top: Any, mirror: Any) -> Any:
    area, ratio = SMALLEST + (1 - SMALLEST) * area, ops.exp(math.log(STRETCH) * (2 * ratio - 1))
    width, height = (ops.minimum(ops.sqrt(part), 1.0) for part in (area * ratio, area / ratio))
    centre = (images.shape[1] - 1) / 2
    turns = ops.expand_dims(turns, 1)
    cos, sin = (ops.cast(ops.take(ops.array(values), turns), images.dtype) for values in ((1, 0, -1, 0), (0, 1, 0, -1)))
    row_x, row_y = (width * mirror * cos, -width * mirror * sin), (height * sin, height * cos)
    shifts = [(2 * place - 1) * (1 - size) * centre for place, size in ((left, width), (top, height))]
    rows = [(x, y, centre - centre * (x + y) + shift) for (x, y), shift in zip((row_x, row_y), shifts, strict=True)]
    nothing = ops.zeros_like(width)
    transform = ops.concatenate([*rows[0], *rows[1], nothing, nothing], axis=1)
    return ops.image.affine_transform(images, transform, "bilinear", "nearest", data_format="channels_last")


def _each(values: Any) -> Any:
    """`(batch, 1)` beside `(batch, height, width, channels)`."""
    return values[:, None, None, :]
