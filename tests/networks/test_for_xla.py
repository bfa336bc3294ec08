"""Networks of somebody else's making, rewritten for XLA."""

import keras
import numpy as np
import pytest

from keras_ood.networks.conv2d import Conv2D
from keras_ood.networks.depthwise_conv2d import DepthwiseConv2D
from keras_ood.networks.for_xla import for_xla


def network():
    """One with what is rewritten, and what is not."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.DepthwiseConv2D(3, 2, "same", activation="relu6")(inputs)
    x = keras.layers.Conv2D(6, 1, activation="relu")(x)
    x = keras.layers.Conv2D(4, 1, use_bias=False)(x)
    x = keras.layers.Conv2D(4, 1, groups=2)(x)
    return keras.Model(inputs, keras.layers.Conv2D(2, 3)(x))


def test_a_network_keeps_its_values():
    """A copy of a network gives the same maps, and its convolutions are ours."""
    given = network()
    copied = for_xla(given)
    assert [type(layer) for layer in copied.layers[1:]] == [DepthwiseConv2D, *[Conv2D] * 4]
    images = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)
    expected, found = (keras.ops.convert_to_numpy(each(images)) for each in (given, copied))
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.once_on_jax
def test_a_product_is_taken(monkeypatch):
    """On JAX, on a CPU, no convolution of single pixels is left."""

    def refuse(*args, **kwargs):
        raise AssertionError("a convolution")

    monkeypatch.setattr(keras.layers.Conv2D, "call", refuse)
    assert Conv2D(5, 1)(np.ones((1, 8, 8, 2), np.float32)).shape == (1, 8, 8, 5)
