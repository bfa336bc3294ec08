"""The resize of exports."""

import contextlib

import keras
import numpy as np
import pytest
from keras import ops

from keras_ood.export.resizing import resize_by_products, use_products
from keras_ood.images.preprocessing import Preprocessing, resize

pytestmark = pytest.mark.once


@pytest.mark.parametrize(("old", "new"), [((20, 12), (16, 16)), ((5, 7), (16, 16)), ((48, 64), (32, 8)), ((1, 9), (4, 3))])
def test_products_resize_alike(old, new):
    """Two products give the backend's own resize to 1e-6, in a graph that is traced."""
    import tensorflow as tf

    images = ops.convert_to_tensor(np.random.default_rng(0).random((3, *old, 3), np.float32))
    traced = tf.function(lambda x: resize_by_products(x, new), autograph=False)
    np.testing.assert_allclose(traced(images).numpy(), resize(images, new).numpy(), rtol=0, atol=1e-6)


def test_every_preprocessing_of_a_model_resizes_by_products():
    """Nested ones too, in the block alone, however it ends."""
    inner, outer = Preprocessing((4, 4, 1)), Preprocessing((8, 8, 1))
    model = keras.Sequential([outer, keras.Sequential([inner])])
    with contextlib.suppress(ValueError), use_products(model):
        assert inner.resize is outer.resize is resize_by_products
        raise ValueError("No space left on device")
    assert inner.resize is outer.resize is resize
