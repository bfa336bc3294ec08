"""The resize of exports."""

import contextlib

import keras
import numpy as np
import pytest
from keras import ops

from keras_ood.export.resizing import placed_by_products, use_products
from keras_ood.images.aspect import ASPECTS
from keras_ood.images.preprocessing import Preprocessing, placed

pytestmark = pytest.mark.once


@pytest.mark.parametrize("aspect", ASPECTS)
def test_one_graph_places_images_of_any_size(aspect):
    """Larger, smaller, of any ratio, one pixel wide: what Keras' own resize, a crop and a padding give, to 1e-6."""
    import tensorflow as tf

    target = (16, 12)
    signature = [tf.TensorSpec((None, None, None, 3), tf.float32)]
    traced = tf.function(lambda x: placed_by_products(x, target, aspect), signature, autograph=False)
    for size in ((20, 12), (5, 7), (48, 64), (1, 9), (33, 1), (16, 12), (8, 6), (24, 10), (211, 97)):
        images = ops.convert_to_tensor(np.random.default_rng(0).random((3, *size, 3), np.float32))
        expected = placed(images, target, aspect).numpy()
        np.testing.assert_allclose(traced(images).numpy(), expected, rtol=0, atol=1e-6, err_msg=str(size))


def test_every_preprocessing_of_a_model_resizes_by_products():
    """Nested ones too, in the block alone, however it ends."""
    inner, outer = Preprocessing((4, 4, 1)), Preprocessing((8, 8, 1))
    model = keras.Sequential([outer, keras.Sequential([inner])])
    with contextlib.suppress(ValueError), use_products(model):
        assert inner.placed is outer.placed is placed_by_products
        raise ValueError("No space left on device")
    assert inner.placed is outer.placed is placed
