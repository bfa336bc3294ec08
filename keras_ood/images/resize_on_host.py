"""The resize of an image on the host, in the thread or the process that decodes it, the same for images of any size."""

from functools import lru_cache
from typing import Any

import numpy as np
from scipy import sparse

from keras_ood.images.aspect import PADDING, Placement

_BAND = 8  # targets summed at once: what a photo is as float32 is never in memory as a whole


def resize_on_host(image: np.ndarray, size: tuple[int, int], aspect: str = "stretch") -> np.ndarray:
    """Return an image at a height and width, float32 in 0..1, as `Preprocessing` places and resizes; as it is at that size.

    The weights are those of `keras_ood.images.preprocessing.resize`, the sums agree up to rounding in float32: with `s` the
    larger of 1 and `length / target`, pixel `k` weighs `1 - |k + 1/2 - (i + 1/2) length / target| / s`, where that is
    positive, in number `i` of the target, divided by their sum. No network is asked, so that nothing is compiled for each size
    of photo.

    Args:
        image: `(height, width, 1 or 3)`, uint8 in 0..255 or float32 in 0..1.
        size: `(height, width)`.
        aspect: The rule for another ratio of the sides, see `keras_ood.images.aspect`.
    """
    if image.shape[:2] == size:
        return image
    place = Placement.of((image.shape[0], image.shape[1]), size, aspect)
    top, left, height, width = place.window
    channels, inner = image.shape[2], place.inner
    image = image[top : top + height, left : left + width]
    rows = _shrunk(image.reshape(height, -1), inner[0]).reshape(inner[0], width, channels)
    columns = _shrunk(rows.swapaxes(0, 1).reshape(width, -1), inner[1])
    resized = columns.reshape(inner[1], inner[0], channels).swapaxes(0, 1)
    if image.dtype == np.uint8:
        resized /= np.float32(255)
    resized = np.clip(resized, 0, 1)  # the weights sum to 1 only up to rounding
    return np.pad(resized, (*place.margins, (0, 0)), constant_values=PADDING)


def _shrunk(lines: np.ndarray, target: int) -> np.ndarray:
    """Return `(target, n)` sums of `(length, n)`, float32."""
    bands = _weights(len(lines), target)
    return np.concatenate([weights @ lines[start : start + weights.shape[1]] for start, weights in bands])


@lru_cache(maxsize=64)
def _weights(length: int, target: int) -> list[tuple[int, Any]]:
    """For each band of targets the first line that counts and the weights from there on, a sparse float32 matrix."""
    step = length / target
    centres, reach = (np.arange(target) + 0.5) * step, max(1.0, step)
    first = np.floor(centres - reach).astype(int)
    places = first[:, None] + np.arange(int(np.ceil(2 * reach)) + 2)
    weights = np.maximum(1 - np.abs(places + 0.5 - centres[:, None]) / reach, 0) * ((places >= 0) & (places < length))
    weights /= weights.sum(axis=1, keepdims=True)
    numbers, columns = np.nonzero(weights)
    values, lines = weights[numbers, columns].astype(np.float32), places[numbers, columns]
    matrix = sparse.csr_array((values, (numbers, lines)), shape=(target, length))
    bands = []
    for band in (matrix[first : first + _BAND] for first in range(0, target, _BAND)):
        start, end = band.indices.min(), band.indices.max() + 1
        bands.append((int(start), band[:, start:end]))
    return bands
