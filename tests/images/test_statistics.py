"""What an image is like, against NumPy."""

import keras
import numpy as np
import pytest

from keras_ood.images.statistics import image_statistics, octaves, shrink


def windows(images, side, stride):
    """Return all squares inside of images, `(batch, rows, columns, channels, side, side)`, float64."""
    views = np.lib.stride_tricks.sliding_window_view(images.astype(np.float64), (side, side), (1, 2))
    return views[:, ::stride, ::stride]


@pytest.mark.parametrize("shape", [(8, 8, 1), (33, 30, 3), (13, 15, 1), (3, 16, 3)])
def test_statistics_of_images(shape):
    """Any sides, of which what does not fill a square is left out; grey and RGB."""
    images = np.random.default_rng(0).random((5, *shape), np.float32)
    found = {name: keras.ops.convert_to_numpy(values) for name, values in image_statistics(images).items()}
    expected = {"brightness": images.mean((1, 2, 3))}
    if shape[2] == 3:
        expected["saturation"] = images.std(-1).mean((1, 2))
    for octave, name in zip(octaves(shape), ("local_contrast", "local_contrast_2", "local_contrast_4"), strict=False):
        small = windows(images, octave, octave).mean((4, 5))
        np.testing.assert_allclose(keras.ops.convert_to_numpy(shrink(images, octave)), small, atol=1e-6)
        expected[name] = windows(small, 3, 1).std((4, 5)).mean((1, 2, 3))
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, err_msg=name)
