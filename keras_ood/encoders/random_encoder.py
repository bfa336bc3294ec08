"""The encoder of InFlow's reference implementation."""

import math

import keras
import numpy as np
from keras import layers

from keras_ood.backend.settings import own_settings

FEATURES, SMALLEST = 32, 22  # of the published encoder: features, and the side that three convolutions leave one pixel of


def random_encoder(image_shape: tuple[int, int, int], seed: int = 0) -> keras.Sequential:
    """Return the encoder of InFlow's reference implementation: random weights, never trained, 32 features.

    Three 4x4 convolutions of stride 2 with 64, 128 and 512 filters and ReLU, then a dense layer: 1,248,992 parameters at
    32x32x3. All weights are uniform within `1 / sqrt(fan in)`, drawn with NumPy: the same on every backend.

    Source: Kumar et al., arXiv 2106.12894, after Rabanser, Guennemann, Lipton, "Failing Loudly", arXiv 1810.11953.
    """
    if min(image_shape[:2]) < SMALLEST:
        raise ValueError(f"Images must be at least {SMALLEST}x{SMALLEST}. Received: image_shape={image_shape}")
    with own_settings("float32"):
        encoder = keras.Sequential(
            [
                keras.Input(image_shape),
                *[layers.Conv2D(filters, 4, 2, data_format="channels_last", activation="relu") for filters in (64, 128, 512)],
                layers.Flatten("channels_last"),
                layers.Dense(FEATURES),
            ],
            name="random_encoder",
        )
    generator = np.random.default_rng(seed)
    for layer in encoder.layers:
        if layer.weights:
            kernel, bias = layer.weights
            bound = 1 / math.sqrt(math.prod(kernel.shape[:-1]))
            layer.set_weights([generator.uniform(-bound, bound, weight.shape) for weight in (kernel, bias)])
    return encoder
