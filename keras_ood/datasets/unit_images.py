"""Images so simple that every detector should flag them: unit tests of out-of-distribution detection.

After Bitterwolf, Mueller, Hein, "In or Out? Fixing ImageNet Out-of-Distribution Detection Evaluation", ICML 2023 (NINCO).
Uniform noise and single colours are the synthetic sets `noise` and `constant`.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage


def black(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """All numbers 0."""
    return np.zeros_like(images)


def white(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """All numbers 255."""
    return np.full_like(images, 255)


def gradient(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """From one colour to another along a straight line, both and the direction at random."""
    angle = generator.uniform(0, 2 * np.pi, (len(images), 1, 1, 1))
    down, right = np.cos(angle), np.sin(angle)
    rows, columns = (np.linspace(-0.5, 0.5, side) for side in images.shape[1:3])
    along = 0.5 + (down * rows[:, None, None] + right * columns[:, None]) / (np.abs(down) + np.abs(right))
    first, second = _two_colours(images, generator)
    return np.asarray(np.round(first + along * (second - first)), np.uint8)


def normal_noise(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Each number normal about mid-grey with a standard deviation of 64, independent, cut off at 0 and 255."""
    return np.asarray(np.clip(np.round(generator.normal(127.5, 64, images.shape)), 0, 255), np.uint8)


def smooth_noise(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Noise blurred by an eighth of the height, each channel stretched to 0..255."""
    return np.asarray(np.round(255 * _smooth(images.shape, generator)), np.uint8)


def blobs(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Rounded patches of one colour on another, about half of the image each."""
    height = _smooth((*images.shape[:3], 1), generator)
    return _in_two_colours(height > np.median(height, axis=(1, 2, 3), keepdims=True), images, generator)


def permuted(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The pixels of each image in another order, drawn anew for each."""
    pixels = images.reshape(len(images), -1, images.shape[-1])
    order = np.argsort(generator.random(pixels.shape[:2]), axis=1)
    return np.take_along_axis(pixels, order[..., None], axis=1).reshape(images.shape)


def horizontal_stripes(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Two colours in turn, from top to bottom; a stripe has 1 pixel to a quarter of the height."""
    return _in_two_colours(_stripes(images, 1, generator)[:, :, None, None], images, generator)


def vertical_stripes(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Two colours in turn, from left to right; a stripe has 1 pixel to a quarter of the width."""
    return _in_two_colours(_stripes(images, 2, generator)[:, None, :, None], images, generator)


def checkerboard(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Two colours in turn, both ways; a field has 1 pixel to a quarter of the height, and of the width."""
    fields = _stripes(images, 1, generator)[:, :, None, None] ^ _stripes(images, 2, generator)[:, None, :, None]
    return _in_two_colours(fields, images, generator)


UNIT_IMAGES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    function.__name__: function
    for function in (
        black,
        white,
        gradient,
        normal_noise,
        smooth_noise,
        blobs,
        permuted,
        horizontal_stripes,
        vertical_stripes,
        checkerboard,
    )
}


def _two_colours(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Two colours for each image, `(2, N, 1, 1, channels)`, uniform on 0..255."""
    return generator.integers(0, 256, (2, len(images), 1, 1, images.shape[-1]))


def _in_two_colours(is_first: np.ndarray, images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    first, second = _two_colours(images, generator)
    return np.asarray(np.broadcast_to(np.where(is_first, first, second), images.shape), np.uint8)


def _stripes(images: np.ndarray, axis: int, generator: np.random.Generator) -> np.ndarray:
    """Along an axis of the images, `(N, side)`: False and True in turn, for as many pixels as is drawn for each image."""
    side = images.shape[axis]
    width = generator.integers(1, max(side // 4, 1) + 1, (len(images), 1))
    return np.asarray(np.arange(side) // width % 2 == 1)


def _smooth(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Smooth noise of a shape `(N, height, width, channels)`, each channel of each image from 0 to 1."""
    sigma = shape[1] / 8
    noise = ndimage.gaussian_filter(generator.standard_normal(shape), (0, sigma, sigma, 0))
    least, most = (of(noise, axis=(1, 2), keepdims=True) for of in (np.min, np.max))
    return np.asarray((noise - least) / (most - least))
