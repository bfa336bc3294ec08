"""What exports say in place of operations that converters lack."""

import numpy as np
import pytest
from keras import ops

from keras_ood.export.formats import lowered


@pytest.mark.once
def test_lowered_operations_are_the_same():
    """What converters lack, said by what they have: a resize to 1e-6 of keras', the rest to the bit or to rounding."""
    import tensorflow as tf

    generator = np.random.default_rng(0)
    before = (ops.flip, ops.searchsorted, ops.arctan, ops.image.resize)

    def agree(function, *arrays, atol=0.0):
        expected = ops.convert_to_numpy(function(*map(ops.convert_to_tensor, arrays)))
        traced = tf.function(function, autograph=False)
        with lowered():
            found = traced(*map(ops.convert_to_tensor, arrays)).numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=atol)

    for old, new in (((20, 12), (16, 16)), ((5, 7), (16, 16)), ((48, 64), (32, 8)), ((1, 9), (4, 3))):
        images = generator.random((3, *old, 3), np.float32)
        agree(lambda x, new=new: ops.image.resize(x, new, "bilinear", antialias=True), images, atol=1e-6)
    values = generator.standard_normal((40, 3, 2), np.float32)
    agree(lambda x: ops.flip(x, (0, 2)), values)
    agree(lambda x: ops.arctan(1000 * x), values, atol=1e-6)
    grid = np.sort(np.round(values[:, 0, 0], 1))  # with ties
    for side in ("left", "right"):
        agree(lambda x, v, side=side: ops.searchsorted(x, v, side=side), grid, np.round(values[:, 1, 1], 1))
    assert (ops.flip, ops.searchsorted, ops.arctan, ops.image.resize) == before
