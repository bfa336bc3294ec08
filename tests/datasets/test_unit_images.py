"""Images that every detector should flag, and the names of classes."""

import numpy as np
import pytest

from keras_ood import datasets
from keras_ood.datasets import DATASETS, SYNTHETIC, UNIT_IMAGES, named_images, synthesize
from keras_ood.datasets.class_names import CIFAR10, CIFAR100, NEAR_CIFAR10

pytestmark = pytest.mark.once

SHAPES = [(6, 28, 28, 1), (5, 8, 8, 3), (3, 12, 20, 3), (1, 2, 1, 1)]
FIXED = {"black", "white"}


def example(shape=(40, 16, 12, 3)):
    """Images whose pixels all differ, as far as they can."""
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", UNIT_IMAGES)
def test_any_shape_by_seed(name, shape):
    """As many uint8 images of the same shape; the seed decides, the originals stay as they are."""
    images = example(shape)
    before = images.copy()
    made = synthesize(name, images, seed=1)
    assert made.shape == shape
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(made, synthesize(name, images, seed=1))


@pytest.mark.parametrize("name", UNIT_IMAGES)
def test_each_image_is_another(name):
    """Every image of a set is drawn anew, and another seed gives others, where there is anything to draw."""
    made = synthesize(name, example())
    different = len(np.unique(made.reshape(len(made), -1), axis=0))
    assert different == (1 if name in FIXED else len(made))
    assert np.array_equal(made, synthesize(name, example(), seed=1)) == (name in FIXED)


@pytest.mark.parametrize("name", set(UNIT_IMAGES) - {"permuted"})
def test_only_the_shape_is_used(name):
    """What the images show does not matter."""
    np.testing.assert_array_equal(synthesize(name, example()), synthesize(name, np.zeros_like(example())))


def test_black_and_white():
    """The ends of the range."""
    assert synthesize("black", example()).max() == 0
    assert synthesize("white", example()).min() == 255


def test_a_gradient_is_a_plane():
    """Each channel is linear in row and column to the rounding, and lies between its two colours."""
    made = synthesize("gradient", example()).astype(np.float64)
    for differences in (np.diff(made, 2, axis=1), np.diff(made, 2, axis=2), np.diff(np.diff(made, axis=1), axis=2)):
        assert np.abs(differences).max() <= 2
    assert np.ptp(made, axis=(1, 2)).max() > 150
    assert np.ptp(made, axis=(1, 2)).mean() > 50


def test_normal_noise_has_its_moments():
    """Mid-grey in the mean; a standard deviation of 64, less what is cut off; neighbours independent."""
    noise = synthesize("normal_noise", np.zeros((50, 32, 32, 3), np.uint8)).astype(np.float64)
    assert noise.mean() == pytest.approx(127.5, abs=1)
    assert noise.std() == pytest.approx(61.2, abs=1)
    assert abs(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]) < 0.02


def test_smooth_noise_is_smooth_and_fills_the_range():
    """Each channel from 0 to 255, neighbours near each other."""
    made = synthesize("smooth_noise", np.zeros((20, 32, 32, 3), np.uint8)).astype(np.float64)
    assert (made.min(axis=(1, 2)) == 0).all()
    assert (made.max(axis=(1, 2)) == 255).all()
    assert np.corrcoef(made[:, 1:].ravel(), made[:, :-1].ravel())[0, 1] > 0.95


@pytest.mark.parametrize("name", ["blobs", "horizontal_stripes", "vertical_stripes", "checkerboard"])
def test_two_colours(name):
    """Never more than two colours in an image; nearly always two."""
    made = synthesize(name, example())
    counts = [len(np.unique(image.reshape(-1, 3), axis=0)) for image in made]
    assert max(counts) == 2
    assert np.mean(counts) > 1.95


def test_stripes_run_as_they_are_called():
    """Horizontal ones do not change along a row, vertical ones along a column, a board along neither alone."""
    rows, columns, board = (synthesize(name, example()) for name in ("horizontal_stripes", "vertical_stripes", "checkerboard"))
    np.testing.assert_array_equal(rows, np.broadcast_to(rows[:, :, :1], rows.shape))
    np.testing.assert_array_equal(columns, np.broadcast_to(columns[:, :1], columns.shape))
    assert (np.ptp(board, axis=1).max(axis=(1, 2)) > 0).all()
    assert (np.ptp(board, axis=2).max(axis=(1, 2)) > 0).all()


def test_blobs_are_half_of_the_image():
    """Of an even number of pixels one half is of either colour."""
    made = synthesize("blobs", example())
    first = (made == made[:, :1, :1]).all(axis=-1).mean(axis=(1, 2))
    np.testing.assert_allclose(first, 0.5)


def test_permuted_keeps_the_pixels():
    """The same pixels, channels together, in another order for each image."""
    images = np.repeat(example((1, 16, 12, 3)), 3, axis=0)
    made = synthesize("permuted", images)
    ordered = [np.sort(each.reshape(3, -1, 3).view("u1,u1,u1"), axis=1) for each in (images, made)]
    np.testing.assert_array_equal(*ordered)
    assert len(np.unique(made.reshape(3, -1), axis=0)) == 3


def test_they_are_names_like_others():
    """A name stands for the set made of in-distribution images, is no synthetic set measured unasked, and errors list it."""
    assert not set(UNIT_IMAGES) & (set(SYNTHETIC) | set(DATASETS))
    np.testing.assert_array_equal(named_images("blobs", example()), synthesize("blobs", example()))
    with pytest.raises(ValueError, match=r"'blobs'.*Received: 'blob'"):
        named_images("blob", example())


def test_class_names_are_those_of_the_labels(real):
    """As many as there are labels, none twice; what is near is a class of either set."""
    for name in ("cifar10", "cifar100", "fashion_mnist"):
        classes = datasets.get(name).classes
        assert len(set(classes)) == len(classes) == len(np.unique(real(name)[1]))
    assert set(NEAR_CIFAR10) <= set(CIFAR100)
    assert set(NEAR_CIFAR10.values()) <= set(CIFAR10)
    assert list(CIFAR100) == sorted(CIFAR100)  # as the labels are
