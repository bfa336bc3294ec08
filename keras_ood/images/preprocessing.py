"""Images of any accepted kind to what the networks take."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ood.backend.settings import own_settings
from keras_ood.images.aspect import PADDING, Placement, check_aspect
from keras_ood.images.checks import ACCEPTED

LUMINANCE = (0.299, 0.587, 0.114)  # of R, G, B: ITU-R BT.601


def resize(images: Any, size: tuple[int, int]) -> Any:
    """Return `(batch, height, width, channels)` float images at another height and width: bilinear, anti-aliased."""
    return ops.image.resize(images, size, "bilinear", antialias=True, data_format="channels_last")


def interpolate(maps: Any, size: tuple[int, int]) -> Any:
    """Return `(batch, height, width, channels)` maps at another height and width: bilinear, never above the largest value.

    Without anti-aliasing; by products with constant matrices, which every runtime of exported detectors has.
    """
    return by_products(maps, _weights(maps.shape[1], size[0]), _weights(maps.shape[2], size[1]))


def by_products(images: Any, rows: np.ndarray, columns: np.ndarray) -> Any:
    """Return images `(batch, height, width, channels)` times `rows`, `(new height, height)`, and `columns` along the width."""
    _, height, width, channels = ops.shape(images)
    first = ops.matmul(rows, ops.reshape(images, (-1, height, width * channels)))
    return ops.matmul(columns, ops.reshape(first, (-1, rows.shape[0], width, channels)))


def placed(images: Any, size: tuple[int, int], aspect: str) -> Any:
    """Return `(batch, height, width, channels)` float images in 0..1 at another height and width, by a rule.

    Args:
        images: Tensors of a height and width that are known when a pass is compiled.
        size: `(height, width)`.
        aspect: The rule for another ratio of the sides, see `keras_ood.images.aspect.Placement`.

    Raises:
        ValueError: The height or the width is not known.
    """
    if None in images.shape[1:]:
        raise ValueError(f"Image shapes must be known when a pass is compiled. Received: {tuple(images.shape)}")
    place = Placement.of(tuple(images.shape[1:3]), size, aspect)
    top, left, rows, columns = place.window
    images = images[:, top : top + rows, left : left + columns]
    if (rows, columns) != place.inner:
        images = ops.clip(resize(images, place.inner), 0.0, 1.0)  # the weights sum to 1 only up to rounding
    if place.inner != size:
        images = ops.pad(images, ((0, 0), *place.margins, (0, 0)), constant_values=PADDING)
    return images


def _weights(before: int, after: int) -> np.ndarray:
    """The `(after, before)` weights of the old pixels, whose places are the middles of theirs."""
    places = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    return np.asarray(np.maximum(1 - np.abs(places[:, None] - np.arange(before)), 0), np.float32)


@keras.saving.register_keras_serializable(package="keras_ood")
class Preprocessing(keras.layers.Layer):  # type: ignore[misc]
    """Scale to 0..1, convert between grey and RGB, resize: the same arithmetic for every source of images.

    `uint8` is divided by 255. RGB becomes grey by luminance (0.299 R + 0.587 G + 0.114 B, ITU-R BT.601), grey becomes RGB by
    repetition. Sizes are changed by bilinear interpolation, with anti-aliasing when an image shrinks; an image that has
    the right size already is left as it is. What becomes of another ratio of the sides is a rule, see
    `keras_ood.images.aspect.Placement`: the image is stretched, cropped in the middle, or padded with grey of 0.5.

    Args:
        image_shape: `(height, width, channels)` of the output, channels 1 or 3.
        aspect: `"stretch"`, `"crop"` or `"pad"`.

    Raises:
        ValueError: Another shape or rule.
    """

    def __init__(self, image_shape: tuple[int, int, int], aspect: str = "stretch", **kwargs: Any) -> None:
        super().__init__(trainable=False, dtype="float32", autocast=False, **kwargs)
        shape = tuple(int(size) for size in image_shape)
        if len(shape) != 3 or min(shape) < 1 or shape[2] not in (1, 3):
            raise ValueError(f"`image_shape` must be (height, width, channels) with 1 or 3 channels. Received: {image_shape}")
        self.image_shape: tuple[int, int, int] = shape
        self.aspect = check_aspect(aspect)
        self.placed = placed  # an export puts its own in this place
        self.built = True

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """As any Keras layer; float32 whatever `keras.config.set_floatx` says."""
        with own_settings():
            return super().__call__(*inputs, **options)

    def call(self, images: Any) -> Any:
        """Return float32 `(batch, *image_shape)` for `(batch, height, width, 1 or 3)` images."""
        height, width, channels = self.image_shape
        dtype = keras.backend.standardize_dtype(images.dtype)
        if not (dtype == "uint8" or "float" in dtype) or len(images.shape) != 4 or images.shape[-1] not in (1, 3):
            raise ValueError(f"Expected {ACCEPTED}. Received: {dtype} images of shape {tuple(images.shape)}")
        is_integer = dtype == "uint8"
        images = ops.cast(images, "float32")
        if is_integer:
            images = images / 255.0
        if channels == 1 and images.shape[-1] == 3:
            images = ops.sum(images * ops.array(LUMINANCE, "float32"), axis=-1, keepdims=True)
        elif channels == 3 and images.shape[-1] == 1:
            images = ops.repeat(images, 3, axis=-1)
        return self.placed(images, (height, width), self.aspect)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The batch dimension, then `image_shape`."""
        return (input_shape[0], *self.image_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"image_shape": list(self.image_shape), "aspect": self.aspect, "name": self.name}
