"""In-distribution images gone wrong, at five severities."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy import ndimage

SEVERITIES = (1, 2, 3, 4, 5)


def gaussian_noise(images: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Add noise with a standard deviation of 0.04, 0.06, 0.08, 0.09, 0.10 of the range."""
    deviation = 255 * (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1]
    return _levels(images + deviation * generator.standard_normal(images.shape, np.float32))


def gaussian_blur(images: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Blur with a standard deviation of 0.4, 0.6, 0.7, 0.8, 1.0 pixels."""
    deviation = (0.4, 0.6, 0.7, 0.8, 1.0)[severity - 1]
    return _levels(ndimage.gaussian_filter(images.astype(np.float32), (0, deviation, deviation, 0)))


def contrast(images: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Shrink the distance from the image's mean to 0.75, 0.5, 0.4, 0.3, 0.15."""
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    return _levels(mean + (0.75, 0.5, 0.4, 0.3, 0.15)[severity - 1] * (images - mean))


def brightness(images: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Add 0.05, 0.1, 0.15, 0.2, 0.3 of the range."""
    return _levels(images + 255 * (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1])


def jpeg(images: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Compress as JPEG of quality 80, 65, 58, 50, 40, and read back."""
    quality = (80, 65, 58, 50, 40)[severity - 1]
    changed = np.empty_like(images)
    for index, image in enumerate(images):
        file = io.BytesIO()
        Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(file, "JPEG", quality=quality)
        changed[index] = np.asarray(Image.open(file)).reshape(image.shape)
    return changed


CORRUPTIONS: dict[str, Callable[[np.ndarray, int, np.random.Generator], np.ndarray]] = {
    function.__name__: function for function in (gaussian_noise, gaussian_blur, contrast, brightness, jpeg)
}


def corrupt(name: str, images: np.ndarray, severity: int, seed: int = 0) -> np.ndarray:
    """Return corrupted copies of uint8 images `(N, height, width, channels)`.

    Kinds and strengths for 32x32 images are after Hendrycks, Dietterich, "Benchmarking Neural Network Robustness to Common
    Corruptions and Perturbations", ICLR 2019 (CIFAR-10-C), of whose fifteen kinds these are five, in plain pixel values.

    Args:
        name: One of `CORRUPTIONS`.
        images: In-distribution.
        severity: 1 to 5.
        seed: Seed of the random generator.

    Examples:
        >>> corrupt("brightness", np.full((1, 2, 2, 1), 200, np.uint8), 5).ravel()
        array([255, 255, 255, 255], dtype=uint8)
    """
    if name not in CORRUPTIONS or severity not in SEVERITIES:
        raise ValueError(
            f"The corruption must be one of {sorted(CORRUPTIONS)} at a severity of {SEVERITIES}. "
            f"Received: {name!r}, {severity!r}"
        )
    return CORRUPTIONS[name](images, severity, np.random.default_rng(seed))


def _levels(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(np.round(values), 0, 255), np.uint8)
