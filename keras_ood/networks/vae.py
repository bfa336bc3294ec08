"""Encoder and decoder networks: they hold the weights and know nothing of distributions."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
from keras import layers

from keras_ood.networks.conv2d_transpose import Conv2DTranspose

Networks = tuple[keras.Sequential, keras.Sequential]

HIDDEN = 128  # units of `dense`
CHANNELS = "channels_last"  # whatever Keras' image data format is set to


def paper(image_shape: tuple[int, int, int], latent_dim: int) -> Networks:
    """The networks of the tilted VAE's reference implementation, for 32x32 images alone.

    592,991 parameters (243,742 + 349,249) with the `loc` head, at 32x32x1 and 10 latents. Source: Floto, Kremer, Nica,
    ICLR 2023 (arXiv 2111.15646), after Choi, Jang, Alemi (arXiv 1810.01392).
    """
    if image_shape[:2] != (32, 32):
        raise ValueError(f'`architecture="paper"` takes 32x32 images. Received: image_shape={image_shape}')
    encoder = _stack(
        "encoder",
        image_shape,
        [_convolution(filters, 5, strides) for filters, strides in [(32, 1), (32, 2), (64, 1), (64, 2)]],
        [_convolution(2 * latent_dim, 7, padding="valid"), layers.Flatten(CHANNELS)],
    )
    decoder = _stack(
        "decoder",
        (latent_dim,),
        [layers.Reshape((1, 1, latent_dim)), _transposed(64, 8, padding="valid")],
        [_transposed(filters, 5, strides) for filters, strides in [(64, 1), (64, 2), (32, 1), (32, 2), (32, 1)]],
        [layers.Conv2D(image_shape[2], 5, 1, "same", CHANNELS, kernel_initializer=_normal(), name="image")],
    )
    return encoder, decoder


def small(image_shape: tuple[int, int, int], latent_dim: int) -> Networks:
    """Three 4x4 convolutions of stride 2 and their mirror image: a fifteenth of `paper`'s arithmetic.

    Height and width must be multiples of 8.
    """
    height, width, channels = image_shape
    if height % 8 or width % 8:
        raise ValueError(f'`architecture="small"` takes sides that are multiples of 8. Received: image_shape={image_shape}')
    encoder = _stack(
        "encoder",
        image_shape,
        [_convolution(filters, 4, 2, initializer="he_normal") for filters in (16, 32, 64)],
        [layers.Flatten(CHANNELS)],
    )
    decoder = _stack(
        "decoder",
        (latent_dim,),
        [layers.Dense(height * width, kernel_initializer="he_normal"), _activation()],
        [layers.Reshape((height // 8, width // 8, 64))],
        [_transposed(filters, 4, 2, initializer="he_normal") for filters in (32, 16)],
        [Conv2DTranspose(channels, 4, 2, "same", data_format=CHANNELS, name="image")],
    )
    return encoder, decoder


ARCHITECTURES: dict[str, Callable[[Any, int], Networks]] = {"paper": paper, "small": small}


def dense(event_shape: tuple[int], latent_dim: int) -> Networks:
    """Two hidden layers of 128 units and their mirror image, for the features of a frozen encoder."""
    hidden = [layers.Dense(HIDDEN, kernel_initializer="he_normal") for _ in range(4)]
    encoder = _stack("encoder", event_shape, [hidden[0], _activation(), hidden[1], _activation()])
    output = layers.Dense(event_shape[0], kernel_initializer="zeros", name="features")  # starts at the mean
    decoder = _stack("decoder", (latent_dim,), [hidden[2], _activation(), hidden[3], _activation(), output])
    return encoder, decoder


FEATURE_ARCHITECTURES: dict[str, Callable[[Any, int], Networks]] = {"dense": dense}
"""Of detectors over an encoder."""


def _stack(name: str, input_shape: tuple[int, ...], *blocks: Iterable[keras.layers.Layer]) -> keras.Sequential:
    """A `Sequential`; a convolution in `blocks` stands for itself and the activation after it."""
    network = [layer for block in blocks for part in block for layer in (part if isinstance(part, list) else [part])]
    return keras.Sequential([keras.Input(input_shape), *network], name=name)


def _convolution(
    filters: int, size: int, strides: int = 1, padding: str = "same", initializer: object = None
) -> list[keras.layers.Layer]:
    kernel = initializer or _normal()
    return [layers.Conv2D(filters, size, strides, padding, CHANNELS, kernel_initializer=kernel), _activation()]


def _transposed(
    filters: int, size: int, strides: int = 1, padding: str = "same", initializer: object = None
) -> list[keras.layers.Layer]:
    kernel = initializer or _normal()
    return [
        Conv2DTranspose(filters, size, strides, padding, data_format=CHANNELS, kernel_initializer=kernel),
        _activation(),
    ]


def _activation() -> keras.layers.Layer:
    return layers.LeakyReLU(negative_slope=0.01)


def _normal() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.02)
