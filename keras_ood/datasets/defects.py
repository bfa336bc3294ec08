"""Synthetic defects with known masks, by seed."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

_Made = tuple[np.ndarray, np.ndarray]  # of one image, float32 in 0..255: the damaged one and where, 0..1


def scratch(image: np.ndarray, generator: np.random.Generator) -> _Made:
    """A bent line, 1/80 to 1/32 of the side wide, clearly lighter or darker than what it crosses."""
    side = min(image.shape[:2])
    ends = _inside(image, generator, 2)
    bend = ends.mean(axis=0) + generator.normal(0, side / 16, 2)
    steps = np.linspace(0, 1, 4 * side)[:, None]
    curve = (1 - steps) ** 2 * ends[0] + 2 * steps * (1 - steps) * bend + steps**2 * ends[1]
    if np.linalg.norm(ends[0] - ends[1]) < side / 4:  # too short to be one
        return scratch(image, generator)
    apart = _distance_to(image, curve)
    where = np.clip(generator.uniform(side / 160, side / 64) + 0.5 - apart, 0, 1)
    return _blend(image, where, _contrasting(image, where, generator)), where


def stain(image: np.ndarray, generator: np.random.Generator) -> _Made:
    """A blot with soft edges that darkens and tints what is under it."""
    where = _soften(_blob(image, generator, 1 / 10, 1 / 5), image)
    tint = generator.uniform(0.25, 0.7) * generator.uniform(0.7, 1.0, image.shape[-1])
    return _blend(image, where, image * tint), where


def hole(image: np.ndarray, generator: np.random.Generator) -> _Made:
    """An almost black disc with a lighter rim."""
    centre, radius = _inside(image, generator, 1), generator.uniform(1 / 24, 1 / 10) * min(image.shape[:2])
    apart = _distance_to(image, centre)
    where = np.clip(radius + 0.5 - apart, 0, 1)
    rim = np.clip(1 - np.abs(apart - radius) / (0.2 * radius + 0.5), 0, 1) * where
    return _blend(image, where, 12.0 + 70.0 * rim[..., None]), where


def foreign_object(image: np.ndarray, generator: np.random.Generator) -> _Made:
    """A thing of one colour, with a light side and a dark one, that belongs elsewhere."""
    where = _blob(image, generator, 1 / 14, 1 / 7)
    colour = generator.uniform(0, 255, image.shape[-1])
    places = _places(image)
    shade = (places[..., :1] - places[..., 1:]) / sum(image.shape[:2]) * generator.uniform(-120, 120)
    made = _blend(image, where, np.clip(colour + shade, 0, 255))
    return made, where


def misprint(image: np.ndarray, generator: np.random.Generator) -> _Made:
    """A piece of the image printed once more at another place, upside down or mirrored: ink on ink, which only darkens."""
    height, width = image.shape[:2]
    tall, wide = (max(4, int(generator.uniform(1 / 8, 1 / 4) * side)) for side in (height, width))
    (top, left), (from_top, from_left) = (
        (int(generator.integers(0, height - tall + 1)), int(generator.integers(0, width - wide + 1))) for _ in range(2)
    )
    piece = image[from_top : from_top + tall, from_left : from_left + wide]
    turned = np.rot90(piece, 2) if generator.random() < 0.5 else piece[:, ::-1]
    made, where = image.copy(), np.zeros((height, width))
    made[top : top + tall, left : left + wide] = np.minimum(image[top : top + tall, left : left + wide], turned)
    where[top : top + tall, left : left + wide] = 1
    return made, where


def local_blur(image: np.ndarray, generator: np.random.Generator) -> _Made:
    """A region out of focus."""
    where = _soften(_blob(image, generator, 1 / 8, 1 / 5), image)
    sigma = generator.uniform(1 / 40, 1 / 20) * min(image.shape[:2])
    return _blend(image, where, ndimage.gaussian_filter(image, (sigma, sigma, 0))), where


DEFECTS: dict[str, Callable[[np.ndarray, np.random.Generator], _Made]] = {
    function.__name__: function for function in (scratch, stain, hole, foreign_object, misprint, local_blur)
}


def damage(name: str, images: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return each image with one defect, and where it is.

    The mask holds the pixels that the defect covers by half or more. What nobody could see is no defect: one that changes fewer
    than a third of these pixels by 8 grey levels or more in some channel, such as a blur of what is even, is drawn again
    elsewhere, up to 100 times.

    Args:
        name: One of `DEFECTS`.
        images: uint8 `(N, height, width, channels)`, in-distribution, at least 32 pixels a side.
        seed: Seed of the random generator: image `i` gets the same defect whatever the others are.

    Returns:
        uint8 images of the same shape, and bool masks `(N, height, width)`, none of them empty.

    Raises:
        ValueError: Another defect, other images, or an image in which it cannot be seen.
    """
    if name not in DEFECTS:
        raise ValueError(f"The defect must be one of {sorted(DEFECTS)}. Received: {name!r}")
    images = np.asarray(images)
    if images.ndim != 4 or images.dtype != np.uint8 or min(images.shape[1:3]) < 32:
        raise ValueError(
            "Expected uint8 (N, height, width, channels) of at least 32 pixels a side. "
            f"Received: {images.dtype} of shape {images.shape}"
        )
    damaged, masks = np.empty_like(images), np.zeros(images.shape[:3], bool)
    for place, image in enumerate(images):
        generator = np.random.default_rng((seed, place))
        damaged[place], masks[place] = _visible(name, image, generator)
    return damaged, masks


def _visible(name: str, image: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    least = image.shape[0] * image.shape[1] / 1000
    for _ in range(100):
        made, where = DEFECTS[name](image.astype(np.float32), generator)
        made = np.clip(np.round(made), 0, 255).astype(np.uint8)
        mask = where >= 0.5
        changed = np.abs(made.astype(int) - image).max(axis=-1) >= 8
        if mask.sum() >= least and changed[mask].mean() >= 1 / 3:
            return made, mask
    raise ValueError(
        f"A {name!r} must show on a third of at least {least:.0f} pixels: the image is too even. "
        f"Received: an image of standard deviation {image.std():.1f}"
    )


def _inside(image: np.ndarray, generator: np.random.Generator, count: int) -> np.ndarray:
    """Points `(count, 2)` in the image, a tenth of its sides away from the border."""
    return np.asarray(generator.uniform(0.1, 0.9, (count, 2)) * image.shape[:2])


def _places(image: np.ndarray) -> np.ndarray:
    """The row and the column of each pixel, `(height, width, 2)`."""
    return np.moveaxis(np.asarray(np.indices(image.shape[:2])), 0, -1)


def _distance_to(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the nearest of the points, `(height, width)`; infinite beyond 1/8 of the side."""
    return np.asarray(KDTree(points).query(_places(image), distance_upper_bound=min(image.shape[:2]) / 8)[0])


def _blob(image: np.ndarray, generator: np.random.Generator, least: float, most: float) -> np.ndarray:
    """A round shape with an uneven outline, 0..1; its radius is a share of the side."""
    radius = generator.uniform(least, most) * min(image.shape[:2])
    offset = _places(image) - _inside(image, generator, 1)[0]
    angle = np.arctan2(offset[..., 0], offset[..., 1])
    waves = sum(
        generator.normal(0, 0.25 / order) * np.cos(order * angle + generator.uniform(0, 2 * np.pi)) for order in range(1, 6)
    )
    return np.asarray(np.clip(radius * (1 + waves) + 0.5 - np.linalg.norm(offset, axis=-1), 0, 1))


def _soften(where: np.ndarray, image: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.gaussian_filter(where, min(image.shape[:2]) / 64))


def _blend(image: np.ndarray, where: np.ndarray, over: np.ndarray) -> np.ndarray:
    return np.asarray(image + where[..., None] * (over - image))


def _contrasting(image: np.ndarray, where: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A grey 60 to 120 levels from the mean of what is covered, on the side where there is room."""
    mean = np.average(image.mean(axis=-1), weights=where + 1e-9)
    step = generator.uniform(60, 120)
    return np.full(image.shape[-1], mean - step if mean > 127 else mean + step)
