"""Synthetic defects with known masks."""

import re

import numpy as np
import pytest
from scipy import ndimage

from keras_ood.datasets import DEFECTS, damage, textures

pytestmark = pytest.mark.once

SHAPES = [(4, 64, 64, 3), (3, 48, 72, 1)]
NEED_CONTRAST = {"misprint", "local_blur"}


def example(shape, seed=100):
    """Images with something to see everywhere: two coarse patterns, one fine, of all colours."""
    generator = np.random.default_rng(seed)
    coarse = ndimage.gaussian_filter(generator.normal(0, 400, shape), (0, 4, 4, 0))
    return np.clip(128 + coarse + generator.normal(0, 25, shape), 0, 255).astype(np.uint8)


def test_the_defects_are_those_documented():
    """The six defects, by name."""
    assert set(DEFECTS) == {"scratch", "stain", "hole", "foreign_object", "misprint", "local_blur"}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", DEFECTS)
def test_every_image_is_damaged_where_its_mask_is(name, shape):
    """The mask holds 1/1000 of the pixels or more, a third of them changed by 8 grey levels; the input stays as it was."""
    images = example(shape)
    before = images.copy()
    damaged, masks = damage(name, images)
    np.testing.assert_array_equal(images, before)
    assert (damaged.shape, damaged.dtype, masks.shape, masks.dtype) == (shape, np.uint8, shape[:3], bool)
    assert np.all(masks.mean(axis=(1, 2)) >= 1 / 1000)
    assert np.all(masks.mean(axis=(1, 2)) < 1 / 4)
    changed = np.abs(damaged.astype(int) - images).max(axis=-1)
    for each, mask in zip(changed, masks, strict=True):
        assert np.mean(each[mask] >= 8) >= 1 / 3


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", DEFECTS)
def test_nothing_changes_away_from_the_mask(name, shape):
    """Beyond the soft edge, 1/16 of the side, no pixel differs at all."""
    images = example(shape)
    damaged, masks = damage(name, images)
    reach = min(shape[1:3]) // 16 + 5
    for image, made, mask in zip(images, damaged, masks, strict=True):
        far = ndimage.distance_transform_edt(~mask) > reach
        assert far.any()
        np.testing.assert_array_equal(made[far], image[far])


@pytest.mark.parametrize("name", DEFECTS)
def test_the_mask_is_what_is_covered_and_a_third_of_it_is_seen(name):
    """The mask is what is covered by half; a third of it differs by 8 grey levels; where nothing is covered all is kept."""
    images = example((8, 64, 64, 3))
    damaged, masks = damage(name, images, seed=3)
    for place, (image, made, mask) in enumerate(zip(images, damaged, masks, strict=True)):
        again, where = DEFECTS[name](image.astype(np.float32), np.random.default_rng((3, place)))
        np.testing.assert_array_equal(np.clip(np.round(again), 0, 255), made)  # seen at the first draw
        np.testing.assert_array_equal(made[where == 0], image[where == 0])
        np.testing.assert_array_equal(mask, where >= 0.5)
        assert np.mean(np.abs(made.astype(int) - image).max(axis=-1)[mask] >= 8) >= 1 / 3


@pytest.mark.parametrize("name", DEFECTS)
def test_the_seed_and_the_place_decide(name):
    """The same seed gives the same; another one, and another place, another; the other images of the batch play no part."""
    images = np.repeat(example((1, 64, 64, 3)), 3, axis=0)
    damaged, masks = damage(name, images, seed=1)
    again, masks_again = damage(name, np.concatenate([images[:2], 255 - images[2:]]), seed=1)
    np.testing.assert_array_equal(again[:2], damaged[:2])
    np.testing.assert_array_equal(masks_again[:2], masks[:2])
    other, _ = damage(name, images, seed=2)
    assert len(np.unique(np.concatenate([damaged, other]), axis=0)) == 6
    np.testing.assert_array_equal(damage(name, images)[0], damage(name, images, seed=0)[0])


@pytest.mark.parametrize("name", DEFECTS)
def test_even_images_show_what_can_be_seen_on_them(name):
    """On one grey, what adds something is seen; what only moves or blurs the image is refused, with how even it is."""
    images = np.full((1, 64, 64, 3), 128, np.uint8)
    if name not in NEED_CONTRAST:
        assert damage(name, images)[1].any()
        return
    with pytest.raises(ValueError, match=rf"{name!r}.*too even. Received: an image of standard deviation 0\.0$"):
        damage(name, images)


def test_scratches_grow_with_the_image():
    """Lengths and widths go with the side: about the same share of the pixels is covered."""
    shares = [damage("scratch", textures("grain", 4, size=size))[1].mean() for size in (64, 256)]
    assert shares[0] == pytest.approx(shares[1], rel=0.5)


BAD_IMAGES = {
    "float": np.zeros((2, 64, 64, 3), np.float32),
    "rank 3": np.zeros((64, 64, 3), np.uint8),
    "too low": np.zeros((2, 31, 64, 3), np.uint8),
    "too narrow": np.zeros((2, 64, 31, 3), np.uint8),
}


@pytest.mark.parametrize("images", BAD_IMAGES)
def test_other_images_are_value_errors(images):
    """Anything but uint8 of rank 4 and at least 32 pixels a side is refused with its dtype and shape."""
    array = BAD_IMAGES[images]
    with pytest.raises(ValueError, match=re.escape(f"Received: {array.dtype} of shape {array.shape}") + "$"):
        damage("hole", array)


@pytest.mark.parametrize("name", ["scrach", "", None], ids=repr)
def test_unknown_name_is_a_value_error(name):
    """A name that is not in the list fails with the list."""
    with pytest.raises(ValueError, match=rf"'foreign_object', 'hole'.*{re.escape(f'Received: {name!r}')}$"):
        damage(name, example(SHAPES[0]))
