"""Maps at another size."""

import numpy as np
import pytest
from keras import ops

from keras_ood.images.preprocessing import interpolate


@pytest.mark.parametrize("size", [(24, 24), (5, 31), (6, 6), (7, 3)], ids=str)
def test_it_is_the_backends_bilinear_resize(size):
    """As the backend interpolates, without anti-aliasing, and never above the largest value."""
    maps = np.random.default_rng(0).standard_normal((3, 7, 12, 2)).astype(np.float32)
    found = ops.convert_to_numpy(interpolate(ops.convert_to_tensor(maps), size))
    expected = ops.image.resize(maps, size, "bilinear", antialias=False, data_format="channels_last")
    np.testing.assert_allclose(found, ops.convert_to_numpy(expected), atol=1e-5)
    assert np.all(found.max(axis=(1, 2)) <= maps.max(axis=(1, 2)) + 1e-6)
