"""The residual network that self-supervision trains."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from keras_ood.terminal.numbers import is_whole

CHANNELS = "channels_last"  # whatever Keras' image data format is set to


def residual(image_shape: tuple[int, int, int], widths: Sequence[int] = (48, 96, 192)) -> keras.Model:
    """Return a network from float images in 0..1, `(batch, *image_shape)`, to a list of maps, one of each stage.

    A 4x4 convolution of stride 2, then a stage for each width, the map halved from one to the next:
    `skip(x) + convolution(relu(convolution(relu(x))))` of 3x3 convolutions, `skip` an average and a 1x1 convolution where the
    shape changes. The maps are sums, before the ReLU: at 32x32, `(batch, 16, 16, 48)`, `(batch, 8, 8, 96)` and
    `(batch, 4, 4, 192)` from 689,904 parameters. Nothing is normalised, so that no image depends on its batch: the last
    convolution of every stage starts at zero.

    Args:
        image_shape: `(height, width, channels)`, the sides at least 2 to the power of the number of stages.
        widths: Channels of each stage.

    Source: He, Zhang, Ren, Sun, arXiv 1603.05027; without normalisation after De, Smith, "SkipInit", arXiv 2002.10444.
    """
    if not widths or not all(is_whole(width, 1) for width in widths) or min(image_shape[:2]) < 2 ** len(widths):
        raise ValueError(
            "`widths` must be positive whole numbers, of so many stages that each can halve the image. "
            f"Received: widths={widths}, image_shape={image_shape}"
        )
    images = keras.Input(image_shape)
    maps = [_convolution(widths[0], 4, 2)(layers.Rescaling(4.0, -2.0)(images))]
    for index, width in enumerate(widths):
        maps.append(_stage(maps[-1], width, strides=2 if index else 1))
    return keras.Model(images, maps[1:], name="residual")


def _stage(x: Any, width: int, strides: int) -> Any:
    change = _convolution(width, 3, strides)(layers.ReLU()(x))
    change = _convolution(width, 3, initializer="zeros")(layers.ReLU()(change))
    if strides > 1:
        x = layers.AveragePooling2D(strides, padding="same", data_format=CHANNELS)(x)
    if x.shape[-1] != width:
        x = _convolution(width, 1)(x)
    return layers.Add()([x, change])


def _convolution(filters: int, size: int, strides: int = 1, initializer: str = "he_normal") -> keras.layers.Layer:
    return layers.Conv2D(filters, size, strides, "same", CHANNELS, kernel_initializer=initializer)
