"""A heat map over its image."""

import numpy as np
from matplotlib import colormaps
from scipy import ndimage

from keras_ood.calibration import NOMINAL_FPR
from keras_ood.terminal.numbers import is_between

_COLOURS = colormaps["plasma"]
FIRST, LAST = 4, 1 / 10  # times `fpr`: the p-values at which colour begins, and is fullest
_OPACITY = 0.6
_LINE = 1 / 160  # of the shorter side


def overlay(image: np.ndarray, heat_map: np.ndarray, fpr: float = NOMINAL_FPR) -> np.ndarray:
    """Return an image with its heat map over it: in grey where it is normal, in colour where it is odd.

    Colour begins at a p-value of `4 fpr`, grows with `-log10 p` and is fullest from `fpr / 10` on, so that pictures of one
    `fpr` compare. A white line encloses what has a p-value of at most `fpr`; it is seen in at most a share `fpr` of
    in-distribution images.

    Args:
        image: `(height, width, 1 or 3)`, uint8, or float in 0..1, as `detector.preprocessing` gives it.
        heat_map: P-values `(height, width)` of the same size, as `detector.heat_map` gives them.
        fpr: The false positive rate to hold, between 0 and 1.

    Returns:
        uint8 `(height, width, 3)`.

    Raises:
        ValueError: Another shape, p-values outside 0..1, or another rate.
    """
    image, p_values = np.asarray(image), np.asarray(heat_map)
    if image.ndim != 3 or image.shape[2] not in (1, 3) or p_values.shape != image.shape[:2]:
        raise ValueError(
            "Expected an image (height, width, 1 or 3) and a heat map (height, width). "
            f"Received: {image.shape} and {p_values.shape}"
        )
    if not np.all((p_values > 0) & (p_values <= 1)):
        raise ValueError(f"P-values lie above 0 and are at most 1. Received: {p_values.min()} to {p_values.max()}")
    if not is_between(fpr, 0, 1):
        raise ValueError(f"`fpr` must lie between 0 and 1. Received: {fpr!r}")
    values = image / 255 if image.dtype == np.uint8 else image
    grey = np.repeat(values.mean(axis=-1, keepdims=True), 3, axis=-1)
    oddness = np.log(FIRST * fpr / p_values) / np.log(FIRST / LAST)
    colours = _COLOURS(np.clip(oddness, 0, 1))[..., :3]
    opacity = _OPACITY * np.clip(oddness * np.log(FIRST / LAST) / np.log(FIRST), 0, 1)[..., None]
    picture = grey + opacity * (colours - grey)
    picture[outline(p_values <= fpr)] = 1
    return np.asarray(np.round(255 * np.clip(picture, 0, 1)), np.uint8)


def outline(mask: np.ndarray) -> np.ndarray:
    """Return the line around what a mask `(height, width)` marks, bool: outside of it, but along the image's border."""
    width = max(1, round(_LINE * min(mask.shape)))
    return np.asarray(ndimage.binary_dilation(mask, np.ones((3, 3), bool), width) & ~mask)
