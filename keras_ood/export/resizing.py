"""A resize that every converter has, of images of any size: two products with matrices that the graph computes.

Only in exports: of photographs it is slower than the backend's own resize, and it differs by 1e-6 from it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from keras_ood.images.aspect import PADDING
from keras_ood.images.preprocessing import Preprocessing, by_products, placed


@contextmanager
def use_products(model: keras.Model) -> Iterator[None]:
    """Let all `Preprocessing` of a model place images by `placed_by_products` while its graph is traced."""
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, Preprocessing)]
    try:
        for layer in layers:
            layer.placed = placed_by_products
        yield
    finally:
        for layer in layers:
            layer.placed = placed


def placed_by_products(images: Any, size: tuple[int, int], aspect: str) -> Any:
    """Return what `keras_ood.images.preprocessing.placed` does, by a product along height and one along width.

    The height and the width of the images need not be known when the graph is traced. Crop and margins are in the matrices:
    what lies outside of the window weighs nothing.
    """
    if tuple(images.shape[1:3]) == size:
        return images
    lengths = ops.shape(images)[1:3]
    height, width = (ops.convert_to_tensor(length, "int32") for length in lengths)
    window, inner = (height, width), tuple(ops.convert_to_tensor(length, "int32") for length in size)
    if aspect == "crop":
        window = _fitting(width * size[0], size[1], height), _fitting(height * size[1], size[0], width)
    elif aspect == "pad":
        inner = _fitting(size[1] * height, width, inner[0]), _fitting(size[0] * width, height, inner[1])
    rows, columns = (_Axis(*axis) for axis in zip(lengths, window, size, inner, strict=True))
    images = ops.clip(by_products(images, rows.weights(), columns.weights()), 0.0, 1.0)  # they sum to 1 only up to rounding
    if aspect != "pad":
        return images
    inside = (rows.targets_inside()[:, None] * columns.targets_inside())[..., None]
    return inside * images + (1 - inside) * PADDING


def _fitting(numerator: Any, denominator: Any, most: Any) -> Any:
    """The ratio of two integers, rounded to an integer, half to even, between 1 and `most`."""
    doubled = 2 * numerator + denominator
    rounded = doubled // (2 * denominator)
    is_half = (doubled - rounded * (2 * denominator)) == 0
    rounded = rounded - ops.cast(is_half, "int32") * (rounded % 2)
    return ops.minimum(most, ops.maximum(1, rounded))


class _Axis:
    """One axis: `window` of `length` pixels, in the middle, to `inner` of `target` pixels, in the middle.

    Args:
        length: As `ops.shape` has it, which JAX wants for a range.
        window: Tensor of an integer.
        target: An integer.
        inner: Tensor of an integer.
    """

    def __init__(self, length: Any, window: Any, target: int, inner: Any) -> None:
        before = (ops.convert_to_tensor(length, "int32") - window) // 2
        self.places = ops.cast(ops.arange(length, dtype="int32") - before, "float32")
        self.targets = ops.cast(ops.arange(target, dtype="int32") - (target - inner) // 2, "float32")
        self.window, self.inner = ops.cast(window, "float32"), ops.cast(inner, "float32")

    def weights(self) -> Any:
        """Return the `(target, length)` weights: of the triangle that `keras_ood.images.resize_on_host` describes.

        All but the last division is between integers, which float32 holds exactly.
        """
        offset = (2 * self.places + 1) * self.inner - (2 * self.targets[:, None] + 1) * self.window
        triangle = ops.maximum(2 * ops.maximum(self.inner, self.window) - ops.abs(offset), 0)
        inside = self.targets_inside()[:, None] * _within(self.places, self.window)
        triangle = triangle * inside
        return triangle / ops.maximum(ops.sum(triangle, axis=1, keepdims=True), 1)

    def targets_inside(self) -> Any:
        """Return `(target,)`: 1 where a pixel of the image comes to lie, 0 in the margins."""
        return _within(self.targets, self.inner)


def _within(places: Any, length: Any) -> Any:
    return ops.cast((places >= 0) & (places < length), "float32")
