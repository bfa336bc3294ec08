"""Synthetic out-of-distribution images."""

import re

import numpy as np
import pytest
from scipy import ndimage

from keras_ood.datasets import SYNTHETIC, synthesize

pytestmark = pytest.mark.once

SHAPES = [(6, 28, 28, 1), (5, 8, 8, 3), (1, 14, 14, 1)]
RANDOM = {"noise", "constant", "rotated"}


def example(shape, seed=100):
    """Images with something to blur, turn and invert."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_the_sets_are_those_documented():
    """The five sets of the issue, by name."""
    assert set(SYNTHETIC) == {"noise", "constant", "blurred", "inverted", "rotated"}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", SYNTHETIC)
def test_shape_and_dtype_are_kept_and_the_input_unchanged(name, shape):
    """As many uint8 images of the same shape, an array of their own, the originals untouched."""
    images = example(shape)
    before = images.copy()
    synthetic = synthesize(name, images)
    assert synthetic.shape == shape
    assert synthetic.dtype == np.uint8
    assert not np.array_equal(synthetic, images)
    synthetic[:] = 0
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_the_seed_decides(name):
    """The same seed gives the same images; another seed gives others where chance plays a part, the same elsewhere."""
    images = example((20, 8, 8, 3))
    first = synthesize(name, images, seed=1)
    np.testing.assert_array_equal(first, synthesize(name, images, seed=1))
    assert np.array_equal(first, synthesize(name, images, seed=2)) == (name not in RANDOM)
    np.testing.assert_array_equal(synthesize(name, images), synthesize(name, images, seed=0))


@pytest.mark.parametrize("name", ["noise", "constant"])
def test_only_the_shape_is_used(name):
    """Noise and constant images do not depend on what the images show."""
    shape = (4, 8, 8, 3)
    np.testing.assert_array_equal(synthesize(name, example(shape, 100)), synthesize(name, example(shape, 101)))


def test_noise_is_uniform_on_all_values():
    """Noise takes every value of 0..255, about equally often, channels and images independent."""
    noise = synthesize("noise", np.zeros((100, 28, 28, 3), np.uint8))
    counts = np.bincount(noise.ravel(), minlength=256)
    assert counts.min() > 0
    expected = noise.size / 256
    chi_square = np.sum((counts - expected) ** 2 / expected)
    assert chi_square < 255 + 6 * np.sqrt(2 * 255)
    assert noise.mean() == pytest.approx(127.5, abs=6 * 73.9 / np.sqrt(noise.size))
    flat = noise.reshape(100, -1).astype(np.float64)
    assert abs(np.corrcoef(flat[0], flat[1])[0, 1]) < 0.15
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.03


def test_constant_images_have_one_colour_each():
    """All pixels of an image are alike; images and channels differ, over most of 0..255."""
    constant = synthesize("constant", np.zeros((400, 6, 7, 3), np.uint8))
    np.testing.assert_array_equal(constant, np.broadcast_to(constant[:, :1, :1], constant.shape))
    colours = constant[:, 0, 0]
    assert len(np.unique(colours, axis=0)) > 390
    assert colours.min() < 10
    assert colours.max() > 245


def test_inverted_twice_is_the_original():
    """Inversion is 255 minus each number, and its own inverse."""
    images = example((3, 5, 6, 3))
    inverted = synthesize("inverted", images)
    np.testing.assert_array_equal(inverted.astype(int) + images, np.full(images.shape, 255))
    np.testing.assert_array_equal(synthesize("inverted", inverted), images)


def test_rotated_is_a_quarter_turn_either_way():
    """Each image is turned left or right by a quarter, channels unmixed; both turns occur."""
    images = example((40, 6, 6, 3))
    rotated = synthesize("rotated", images)
    turns = []
    for image, turned in zip(images, rotated, strict=True):
        left, right = np.rot90(image), np.rot90(image, -1)
        turns.append(np.array_equal(turned, left))
        np.testing.assert_array_equal(turned, left if turns[-1] else right)
    assert 5 < sum(turns) < 35


@pytest.mark.parametrize("value", [0, 1, 100, 254, 255])
def test_blur_leaves_a_plain_image_as_it_is(value):
    """An image of one value has nothing to blur."""
    images = np.full((2, 28, 28, 1), value, np.uint8)
    np.testing.assert_array_equal(synthesize("blurred", images), images)


@pytest.mark.parametrize("shape", [(6, 28, 28, 1), (4, 14, 14, 3)], ids=str)
def test_blur_is_a_gaussian_filter_of_each_channel(shape):
    """Each channel of each image is filtered by itself with sd height / 14: the exact value to one grey level, unbiased."""
    images = example(shape)
    sigma = shape[1] / 14
    exact = np.empty(shape)
    for index, channel in np.ndindex(shape[0], shape[3]):
        exact[index, ..., channel] = ndimage.gaussian_filter(images[index, ..., channel].astype(np.float64), sigma)
    error = synthesize("blurred", images) - exact
    assert np.abs(error).max() <= 1
    assert abs(error.mean()) < 0.1


BAD_IMAGES = {
    "float": np.zeros((2, 4, 4, 1), np.float32),
    "int64": np.zeros((2, 4, 4, 1), np.int64),
    "rank 3": np.zeros((2, 4, 4), np.uint8),
    "rank 5": np.zeros((2, 4, 4, 1, 1), np.uint8),
}


@pytest.mark.parametrize("images", BAD_IMAGES)
@pytest.mark.parametrize("name", SYNTHETIC)
def test_other_images_are_value_errors(name, images):
    """Anything but uint8 of rank 4 is refused with its dtype and shape."""
    array = BAD_IMAGES[images]
    with pytest.raises(ValueError, match=re.escape(f"Received: {array.dtype} of shape {array.shape}") + "$"):
        synthesize(name, array)


def test_rotated_takes_square_images():
    """A quarter turn would change the shape of others."""
    with pytest.raises(ValueError, match=r"square.*Received: shape \(2, 4, 5, 1\)$"):
        synthesize("rotated", example((2, 4, 5, 1)))


@pytest.mark.parametrize("name", ["blured", "", None], ids=repr)
def test_unknown_name_is_a_value_error(name):
    """A name that is not in the list fails with the list."""
    with pytest.raises(ValueError, match=rf"'blurred', 'checkerboard', 'constant'.*{re.escape(f'Received: {name!r}')}$"):
        synthesize(name, example((2, 4, 4, 1)))
