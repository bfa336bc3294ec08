"""The sub-pixel form of a transposed convolution."""

import keras
import numpy as np
import pytest

from keras_ood.networks.conv2d_transpose import Conv2DTranspose

SETTINGS = {
    "5x5, stride 2": {"kernel_size": 5, "strides": 2, "padding": "same"},
    "4x4, stride 2": {"kernel_size": 4, "strides": 2, "padding": "same", "activation": "relu"},
    "6x6, stride 2, no bias": {"kernel_size": 6, "strides": 2, "padding": "same", "use_bias": False},
    "7x7, stride 3": {"kernel_size": 7, "strides": 3, "padding": "same"},
    "2x2, stride 2": {"kernel_size": 2, "strides": 2, "padding": "same"},
    "kernel below the stride": {"kernel_size": 2, "strides": 3, "padding": "same"},
    "uneven taps": {"kernel_size": 3, "strides": 2, "padding": "same"},
    "stride 1": {"kernel_size": 5, "strides": 1, "padding": "same"},
    "two strides": {"kernel_size": 5, "strides": (2, 1), "padding": "same"},
    "two sizes": {"kernel_size": (5, 3), "strides": 2, "padding": "same"},
    "valid": {"kernel_size": 8, "strides": 2, "padding": "valid"},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_a_form_changes_no_value(settings, float64):
    """Keras' layer and ours, one set of weights: the same images in float64."""
    images = np.random.default_rng(0).normal(size=(2, 6, 4, 3))
    ours, theirs = (kind(5, dtype="float64", **settings) for kind in (Conv2DTranspose, keras.layers.Conv2DTranspose))
    for layer in (ours, theirs):
        layer.build(images.shape)
    ours.set_weights([np.random.default_rng(1).normal(size=weight.shape) for weight in theirs.weights])
    theirs.set_weights(ours.get_weights())
    expected = keras.ops.convert_to_numpy(theirs(images))
    found = keras.ops.convert_to_numpy(ours(images))
    assert found.shape == expected.shape
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_sub_pixel_form_is_taken(monkeypatch):
    """The strides of the zoo's networks are computed without a transposed convolution."""

    def refuse(*args, **kwargs):
        raise AssertionError("a transposed convolution")

    monkeypatch.setattr(keras.layers.Conv2DTranspose, "call", refuse)
    images = np.ones((1, 4, 4, 2), np.float32)
    for size in (4, 5):
        assert Conv2DTranspose(3, size, 2, "same")(images).shape == (1, 8, 8, 3)


def test_weights_travel_between_forms(tmp_path):
    """A file that Keras' layers wrote is read by ours, and the other way."""
    images = np.random.default_rng(0).random((2, 4, 4, 2)).astype(np.float32)
    kinds = (Conv2DTranspose, keras.layers.Conv2DTranspose)
    ours, theirs = (keras.Sequential([keras.Input((4, 4, 2)), kind(3, 5, 2, "same"), kind(1, 4, 2, "same")]) for kind in kinds)
    for source, target in ((ours, theirs), (theirs, ours)):
        for weight in source.weights:
            weight.assign(keras.random.normal(weight.shape))
        source.save_weights(tmp_path / "model.weights.h5")
        target.load_weights(tmp_path / "model.weights.h5")
        np.testing.assert_allclose(
            *(keras.ops.convert_to_numpy(network(images)) for network in (ours, theirs)), rtol=1e-4, atol=1e-5
        )
