"""Corruptions of in-distribution images."""

import itertools

import numpy as np
import pytest

from keras_ood.datasets import CORRUPTIONS, SEVERITIES, corrupt, load
from keras_ood.datasets.synthetic import perturb

pytestmark = pytest.mark.once


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_severity_grows(name):
    """uint8 of the same shape, the original untouched, and further from it with every severity."""
    images = load("digits", "test")[0][:50]
    before = images.copy()
    changes = []
    for severity in SEVERITIES:
        changed = corrupt(name, images, severity)
        assert changed.dtype == np.uint8
        assert changed.shape == images.shape
        changes.append(np.mean(np.abs(changed.astype(float) - images)))
    np.testing.assert_array_equal(images, before)
    assert changes[0] > 0
    assert all(low < high for low, high in itertools.pairwise(changes)), changes


def test_colour_is_kept():
    """Colour images stay colour images, the seed decides what is random."""
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    for name in CORRUPTIONS:
        assert corrupt(name, images, 3).shape == images.shape
    np.testing.assert_array_equal(corrupt("gaussian_noise", images, 2, seed=1), corrupt("gaussian_noise", images, 2, seed=1))
    assert np.any(corrupt("gaussian_noise", images, 2, seed=1) != corrupt("gaussian_noise", images, 2, seed=2))


@pytest.mark.parametrize(("name", "severity"), [("fog", 1), ("contrast", 0), ("contrast", 6)])
def test_unknown_corruptions(name, severity):
    """The error lists what there is."""
    with pytest.raises(ValueError, match=r"\['brightness', .*\(1, 2, 3, 4, 5\)\. Received: "):
        corrupt(name, np.zeros((1, 8, 8, 1), np.uint8), severity)


def test_perturbed_pixels():
    """A share of the pixels is replaced, all channels of one pixel together; the rest stays."""
    images = np.full((10, 32, 32, 3), 128, np.uint8)
    changed = perturb(images, 0.2, seed=0)
    replaced = np.any(changed != images, axis=-1)
    assert abs(replaced.mean() - 0.2) < 0.02
    assert changed[replaced].std() > 60
