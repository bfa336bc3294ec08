"""Synthetic out-of-distribution images, by seed."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from keras_ood.datasets.unit_images import UNIT_IMAGES


def noise(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Each number uniform on 0..255, independent."""
    return generator.integers(0, 256, images.shape, dtype=np.uint8)


def constant(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One colour an image, uniform on 0..255 in each channel."""
    colours = generator.integers(0, 256, (len(images), 1, 1, images.shape[-1]), dtype=np.uint8)
    return np.broadcast_to(colours, images.shape).copy()


def blurred(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Gaussian blur with a standard deviation of 1/14 of the height (2 pixels at 28x28)."""
    sigma = images.shape[1] / 14
    exact = ndimage.gaussian_filter(images, (0, sigma, sigma, 0), output=np.float32)
    return np.asarray(np.round(exact), np.uint8)  # SciPy would cut off the fraction, once an axis


def inverted(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """255 minus each number."""
    return 255 - images


def rotated(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A quarter turn, left or right at random."""
    turns = generator.integers(0, 2, len(images)).astype(bool)
    square = images.shape[1] == images.shape[2]
    if not square:
        raise ValueError(f"`rotated` takes square images. Received: shape {images.shape}")
    left, right = np.rot90(images, 1, (1, 2)), np.rot90(images, -1, (1, 2))
    return np.where(turns[:, None, None, None], left, right)


def perturb(images: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return uint8 images with a share of their pixels replaced, all channels of one, by numbers uniform on 0..255."""
    generator = np.random.default_rng(seed)
    replaced = generator.random((*images.shape[:3], 1)) < share
    return np.where(replaced, generator.integers(0, 256, images.shape, dtype=np.uint8), images)


SYNTHETIC: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    function.__name__: function for function in (noise, constant, blurred, inverted, rotated)
}

GENERATED = SYNTHETIC | UNIT_IMAGES
"""All that `synthesize` makes; what is measured unasked is of `SYNTHETIC`."""


def applicable(image_shape: tuple[int, ...]) -> list[str]:
    """Return the names of the synthetic sets that images `(height, width, channels)` can give."""
    return [name for name in SYNTHETIC if image_shape[0] == image_shape[1] or name != "rotated"]


def synthesize(name: str, images: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return as many synthetic images as there are in-distribution ones, of the same shape and dtype.

    Args:
        name: One of `SYNTHETIC` or `UNIT_IMAGES`. `blurred`, `inverted`, `rotated` and `permuted` change `images`, the others
            take only their shape.
        images: uint8 `(N, height, width, channels)`, in-distribution.
        seed: Seed of the random generator.

    Examples:
        >>> synthesize("inverted", np.full((1, 2, 2, 1), 55, np.uint8)).ravel()
        array([200, 200, 200, 200], dtype=uint8)
    """
    if name not in GENERATED:
        raise ValueError(f"The synthetic set must be one of {sorted(GENERATED)}. Received: {name!r}")
    images = np.asarray(images)
    if images.ndim != 4 or images.dtype != np.uint8:
        raise ValueError(f"Expected uint8 (N, height, width, channels). Received: {images.dtype} of shape {images.shape}")
    return GENERATED[name](images, np.random.default_rng(seed))
