"""Drawn surfaces that look like photographs of one material, by seed."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from keras_ood.terminal.numbers import is_whole


def weave(view: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Linen: threads of uneven spacing, tone and fibre that go over and under each other."""
    across = view * 13 + [0.12 * _noise(view, generator, *lengths) for lengths in ((0.12, 0.5), (0.5, 0.12))]
    thread = np.floor(across).astype(int)
    down, right = across - thread - 0.5  # -0.5..0.5 over the thread that runs right, and over that which runs down
    up = np.where(thread.sum(axis=0) % 2, 0.7, -0.7)
    runs_down, runs_right = _crown(right) + up * np.cos(np.pi * down), _crown(down) - up * np.cos(np.pi * right)
    is_down, height = runs_down > runs_right, np.maximum(runs_down, runs_right)
    fibre = _noise(np.where(is_down, view, view[::-1]), generator, 0.06, 0.008)
    tones = generator.normal(0, 0.06, (2, 64))
    tone = np.where(is_down, tones[0, thread[1] % 64], tones[1, thread[0] % 64])
    light = 0.68 + 0.17 * height + 0.03 * _slope(height) + 0.07 * fibre + tone
    return np.asarray(np.where(is_down[..., None], (205.0, 188.0, 156.0), (184.0, 170.0, 146.0)) * light[..., None])


def grain(view: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Wood: rings cut lengthwise that wander, fine fibre along them and short dark pores."""
    rings = 7 * view[1] + 0.9 * _noise(view, generator, 0.8, 0.22) + 0.12 * _noise(view, generator, 0.25, 0.06)
    ring = np.floor(rings).astype(int)
    late = rings - ring  # 0..1 from a year's spring to its autumn
    dark = late**2.5 * np.clip((1 - late) * 9, 0, 1) * generator.uniform(0.5, 1.1, 64)[ring % 64]
    fibre = 0.11 * _noise(view, generator, 0.16, 0.009) + 0.1 * _noise(view, generator, 0.5, 0.03)
    pores = np.clip(_noise(view, generator, 0.05, 0.008) - 1.5, 0, 1) * (1.2 - late)
    depth = np.clip(0.25 + 0.6 * dark + fibre + 0.5 * pores, 0, 1.3)[..., None]
    return np.asarray((214.0, 168.0, 116.0) * (1 - depth) + (104.0, 62.0, 34.0) * depth)


def leather(view: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Leather: rounded pebbles of uneven size between creases, shaded by a light from the upper left."""
    bent = view + [0.012 * _noise(view, generator, 0.09, 0.09) for _ in range(2)]
    nearest, second = _two_nearest(bent * 15, generator)
    pebble = 1 - np.exp(-4.5 * (second - nearest))
    height = pebble + 0.6 * (second - nearest)
    patches = 0.05 * _noise(view, generator, 0.3, 0.3)
    slope = _slope(height)
    light = 0.45 + 0.5 * pebble + 0.2 * slope + patches
    shine = np.clip(0.5 * slope - 0.15, 0, 0.4) * pebble
    return np.asarray(light[..., None] * (158.0, 94.0, 58.0) + shine[..., None] * 130)


TEXTURES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    function.__name__: function for function in (weave, grain, leather)
}


def textures(name: str, n: int, seed: int = 0, size: int = 128) -> np.ndarray:
    """Return photographs of one material, as far as a drawing can be one: natural in-distribution images, as many as wanted.

    Each shows another piece of it, turned by up to 3 degrees, at a scale up to 4 % off, in a light up to 6 % off that falls
    off to one side, a little out of focus and with a sensor's noise. The piece shown does not depend on `size`.

    Args:
        name: One of `TEXTURES`: `weave` (linen), `grain` (wood) or `leather`.
        n: How many.
        seed: Seed of the random generator: image `i` is the same however many there are.
        size: Height and width in pixels, at least 32.

    Returns:
        uint8 `(n, size, size, 3)`.

    Raises:
        ValueError: Another texture, no image, or a size below 32.
    """
    if name not in TEXTURES:
        raise ValueError(f"The texture must be one of {sorted(TEXTURES)}. Received: {name!r}")
    if not (is_whole(n, 1) and is_whole(size, 32)):
        raise ValueError(f"`n` must be a whole number of at least 1, `size` of at least 32. Received: {n!r} and {size!r}")
    return np.stack([_photograph(name, np.random.default_rng((seed, place)), size) for place in range(n)])


def _photograph(name: str, generator: np.random.Generator, size: int) -> np.ndarray:
    pixels = (np.indices((size, size)) + 0.5) / size - 0.5
    turn, zoom = np.radians(generator.uniform(-3, 3)), generator.uniform(0.96, 1.04)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * zoom
    view = np.tensordot(turned, pixels, 1) + generator.uniform(1, 2, (2, 1, 1))
    falling = np.tensordot(generator.uniform(-0.08, 0.08, 2), pixels, 1)
    light = (generator.uniform(0.94, 1.06) + falling)[..., None] * generator.uniform(0.99, 1.01, 3)
    sharp = TEXTURES[name](view, generator) * light
    seen = ndimage.gaussian_filter(sharp, (size / 256, size / 256, 0)) + generator.normal(0, 2.5, sharp.shape)
    return np.asarray(np.clip(np.round(seen), 0, 255), np.uint8)


def _noise(view: np.ndarray, generator: np.random.Generator, down: float, right: float) -> np.ndarray:
    """Smooth noise of mean 0 and variance 1 `(size, size)` that forgets itself after the lengths, in shares of the side."""
    lattice = generator.standard_normal((int(2 / down) + 2, int(2 / right) + 2))
    places = view / np.array([down, right])[:, None, None]
    return np.asarray(ndimage.map_coordinates(lattice, places, order=2, prefilter=False, mode="grid-wrap") / 0.55)


def _crown(offset: np.ndarray) -> np.ndarray:
    """Height of a round thread over its middle line, falling off steeply beside it."""
    round_top = np.sqrt(np.maximum(1 - (offset / 0.46) ** 2, 0))
    return np.asarray(round_top - 8 * np.maximum(np.abs(offset) - 0.46, 0))


def _slope(height: np.ndarray) -> np.ndarray:
    """How steeply a surface faces a light from the upper left, in heights over a hundredth of the side."""
    down, right = np.gradient(height, 100 / len(height))
    return np.asarray(0.8 * down + 0.6 * right)


def _two_nearest(places: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the nearest and second nearest of points that lie one to each unit square, anywhere in it."""
    square = np.floor(places).astype(int)
    within, (rows, columns) = places - square, square % 64
    points = generator.uniform(0, 1, (2, 64, 64))
    nearest = second = np.full(rows.shape, np.inf)
    for down, right in np.ndindex(3, 3):
        near = np.roll(points, (1 - down, 1 - right), (1, 2)).reshape(2, -1).take(rows * 64 + columns, axis=1)
        squared = (near[0] + down - 1 - within[0]) ** 2 + (near[1] + right - 1 - within[1]) ** 2
        nearest, second = np.minimum(nearest, squared), np.minimum(second, np.maximum(nearest, squared))
    return np.sqrt(nearest), np.sqrt(second)
