"""What `tools/measure_exports.py` compares."""

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.once


def test_the_hardest_real_set_is_compared_with(tool):
    """Neither synthetic images nor changed ones of its own: they say little of the rounding of photographs."""
    measured = {"gtsrb": 0.99, "cifar100": 0.8, "noise": 0.1, "rotated": 0.5, "inverted": 0.4}
    assert tool("measure_exports").hardest_of(measured) == "cifar100"


def test_images_and_scores(tool):
    """Test images in three channels, the same ones each time; scores of all of them, in their order."""
    measured = tool("measure_exports")
    images = measured.some("digits", 100)
    assert images.shape == (100, 8, 8, 3)
    np.testing.assert_array_equal(images, measured.some("digits", 100))
    scores = measured.scored(lambda batch, fpr: {"score": batch.mean(axis=(1, 2, 3))}, images)
    np.testing.assert_array_equal(scores, images.mean(axis=(1, 2, 3)))
