"""Drawn textures."""

import re

import numpy as np
import pytest

from keras_ood.datasets import TEXTURES, textures

pytestmark = pytest.mark.once


def test_the_textures_are_those_documented():
    """The three materials, by name."""
    assert set(TEXTURES) == {"weave", "grain", "leather"}


@pytest.mark.parametrize("size", [32, 50])
@pytest.mark.parametrize("name", TEXTURES)
def test_shape_and_dtype(name, size):
    """As many uint8 images in colour as were asked for, of the side asked for."""
    images = textures(name, 2, size=size)
    assert images.shape == (2, size, size, 3)
    assert images.dtype == np.uint8


@pytest.mark.parametrize("name", TEXTURES)
def test_an_image_depends_on_the_seed_and_its_place_alone(name):
    """The same whatever their number; others at another place or with another seed."""
    images = textures(name, 4, seed=1, size=32)
    np.testing.assert_array_equal(images[:2], textures(name, 2, seed=1, size=32))
    others = np.concatenate([images, textures(name, 4, seed=2, size=32)])
    assert len(np.unique(others, axis=0)) == 8
    np.testing.assert_array_equal(textures(name, 1, size=32), textures(name, 1, seed=0, size=32))


@pytest.mark.parametrize("name", TEXTURES)
def test_a_larger_image_shows_the_same_piece(name):
    """The mean of each 4x4 pixels of a large image is close to the small one: correlated, and as bright."""
    small, large = (textures(name, 4, size=size).astype(float) for size in (64, 256))
    reduced = large.reshape(4, 64, 4, 64, 4, 3).mean(axis=(2, 4))
    assert np.corrcoef(small.ravel(), reduced.ravel())[0, 1] > 0.9
    np.testing.assert_allclose(small.mean(axis=(1, 2)), reduced.mean(axis=(1, 2)), atol=3)


@pytest.mark.parametrize("name", TEXTURES)
def test_images_are_alike_in_kind(name):
    """Every image has contrast and sensor noise, hardly a pixel is over- or underexposed, and brightness varies by a few %."""
    images = textures(name, 24, size=64).astype(float)
    assert images.std(axis=(1, 2, 3)).min() > 12
    assert np.mean((images == 0) | (images == 255)) < 0.01
    brightness = images.mean(axis=(1, 2, 3))
    assert 0.01 < brightness.std() / brightness.mean() < 0.08


@pytest.mark.parametrize("name", ["wood", "", None], ids=repr)
def test_unknown_name_is_a_value_error(name):
    """A name that is not in the list fails with the list."""
    with pytest.raises(ValueError, match=rf"'grain', 'leather', 'weave'.*{re.escape(f'Received: {name!r}')}$"):
        textures(name, 1)


@pytest.mark.parametrize(("n", "size"), [(0, 64), (1.0, 64), (True, 64), (1, 31), (1, "64")], ids=repr)
def test_other_numbers_are_value_errors(n, size):
    """No image, images of a few pixels, and what is no whole number."""
    with pytest.raises(ValueError, match=re.escape(f"Received: {n!r} and {size!r}") + "$"):
        textures("grain", n, size=size)
