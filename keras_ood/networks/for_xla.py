"""Networks of somebody else's making, with the layers that XLA computes well on a CPU."""

from typing import Any

import keras

from keras_ood.networks.conv2d import Conv2D
from keras_ood.networks.depthwise_conv2d import DepthwiseConv2D

_KINDS: dict[Any, Any] = {keras.layers.Conv2D: Conv2D, keras.layers.DepthwiseConv2D: DepthwiseConv2D}


def for_xla(network: keras.Model) -> keras.Model:
    """Return a copy of a network, weights and all, of the same values, whose convolutions are this package's."""

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind = _KINDS.get(type(layer), type(layer))
        return kind.from_config(layer.get_config())

    copied = keras.models.clone_model(network, clone_function=copy)
    copied.set_weights(network.get_weights())
    return copied
