"""A depthwise convolution as a sum of shifted images."""

import keras
import numpy as np
import pytest

from keras_ood.networks.depthwise_conv2d import DepthwiseConv2D

SETTINGS = {
    "3x3": {"kernel_size": 3, "padding": "same"},
    "3x3, stride 2": {"kernel_size": 3, "strides": 2, "padding": "same", "activation": "relu"},
    "5x5, stride 2, no bias": {"kernel_size": 5, "strides": 2, "padding": "same", "use_bias": False},
    "4x2": {"kernel_size": (4, 2), "padding": "same"},
    "valid, stride 3": {"kernel_size": 3, "strides": 3, "padding": "valid"},
    "two outputs a channel": {"kernel_size": 3, "padding": "same", "depth_multiplier": 2},
    "dilated": {"kernel_size": 3, "padding": "same", "dilation_rate": 2},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_a_form_changes_no_value(settings, float64):
    """Keras' layer and ours, one set of weights: the same images in float64."""
    images = np.random.default_rng(0).normal(size=(2, 7, 8, 3))
    ours, theirs = (kind(dtype="float64", **settings) for kind in (DepthwiseConv2D, keras.layers.DepthwiseConv2D))
    for layer in (ours, theirs):
        layer.build(images.shape)
    ours.set_weights([np.random.default_rng(1).normal(size=weight.shape) for weight in theirs.weights])
    theirs.set_weights(ours.get_weights())
    expected, found = (keras.ops.convert_to_numpy(layer(images)) for layer in (theirs, ours))
    assert found.shape == expected.shape
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.once_on_jax
def test_shifted_sum_is_taken(monkeypatch):
    """On JAX, on a CPU, no convolution of as many groups as channels is left."""

    def refuse(*args, **kwargs):
        raise AssertionError("a depthwise convolution")

    monkeypatch.setattr(keras.layers.DepthwiseConv2D, "call", refuse)
    assert DepthwiseConv2D(5, 2, "same")(np.ones((1, 8, 8, 2), np.float32)).shape == (1, 4, 4, 2)
