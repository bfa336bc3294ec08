"""Localisation metrics against brute force."""

import re

import numpy as np
import pytest
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from keras_ood.evaluation import localisation

pytestmark = pytest.mark.once


def example(seed, levels=None):
    """Five random maps, two of them of clean images, and masks of random pixels, many of which touch at a corner only."""
    generator = np.random.default_rng(seed)
    masks = generator.random((5, 9, 11)) < 0.15
    masks[[1, 4]] = False
    maps = generator.normal(0, 1, masks.shape) + masks
    return (maps if levels is None else np.floor(maps * levels)), masks


def pro_of_every_threshold(maps, masks, limit):
    """The definition, written out: a loop over thresholds, images and regions."""
    rates, overlaps = [0.0], [0.0]
    for threshold in sorted(set(maps.ravel()), reverse=True):
        flagged = maps >= threshold
        regions = []
        for each, mask in zip(flagged, masks, strict=True):
            labels, count = ndimage.label(mask, np.ones((3, 3)))
            regions += [each[labels == label].mean() for label in range(1, count + 1)]
        rates.append(flagged[~masks].mean())
        overlaps.append(np.mean(regions))
    area = 0.0
    for left, right, low, high in zip(rates, rates[1:], overlaps, overlaps[1:], strict=False):
        if left >= limit:
            break
        if right > limit:
            high, right = low + (high - low) * (limit - left) / (right - left), limit
        area += (right - left) * (low + high) / 2
    return area / limit


@pytest.mark.parametrize("limit", [0.05, 0.3, 1])
@pytest.mark.parametrize("levels", [None, 1, 3], ids="levels {}".format)
def test_metrics_agree_with_their_definitions(levels, limit):
    """PRO is that of a loop over all thresholds; the AUROCs are scikit-learn's; scores may tie or not."""
    for seed in range(3):
        maps, masks = example(seed, levels)
        found = localisation(maps, masks, limit)
        assert found["pro"] == pytest.approx(pro_of_every_threshold(maps, masks, limit), abs=1e-12)
        assert found["pixel_auroc"] == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-12)
        images = roc_auc_score(masks.any(axis=(1, 2)), maps.max(axis=(1, 2)))
        assert found["image_auroc"] == pytest.approx(images, abs=1e-12)


@pytest.mark.parametrize("limit", [0.1, 0.3, 1])
def test_extreme_maps(limit):
    """The masks as maps give 1; a constant map half of the limit, as chance does; the masks inverted 0 below a limit of 1."""
    _, masks = example(0)
    maps = masks.astype(np.float32)
    assert localisation(maps, masks, limit) == pytest.approx({"image_auroc": 1, "pixel_auroc": 1, "pro": 1})
    even = {"image_auroc": 0.5, "pixel_auroc": 0.5, "pro": limit / 2}
    assert localisation(np.zeros_like(maps), masks, limit) == pytest.approx(even)
    inverted = localisation(1 - maps, masks, limit)
    assert (inverted["pixel_auroc"], inverted["pro"]) == pytest.approx((0, 0))


def test_regions_touch_at_corners_and_not_across_images():
    """Two pixels at a corner are one region, of two images two; a large region counts as much as a small one."""
    masks = np.zeros((2, 6, 6), bool)
    masks[0, 0, 0] = masks[0, 1, 1] = masks[1, 1, 1] = masks[0, 4, 3:] = True
    maps = np.zeros(masks.shape)
    maps[0, 0, 0], maps[0, 4, 3:] = 2, 1  # half of the first region, all of the third, nothing of the second
    overlap = (1 / 2 + 0 + 1) / 3
    limit = 0.3  # straight from there to (1, 1), as all else ties
    expected = overlap + (1 - overlap) * limit / 2
    assert localisation(maps, masks, limit)["pro"] == pytest.approx(expected)


def test_the_image_auroc_is_left_out_where_there_is_no_clean_image():
    """Nothing stands in its place."""
    maps, masks = example(0)
    damaged = masks.any(axis=(1, 2))
    assert set(localisation(maps[damaged], masks[damaged])) == {"pixel_auroc", "pro"}


def test_only_the_order_of_the_scores_counts():
    """float32 scores at the ends of their range give what their ranks do."""
    maps, masks = example(1)
    ranks = np.unique(maps, return_inverse=True)[1].reshape(maps.shape)
    wide = ((ranks / ranks.max() * 2 - 1) * np.finfo(np.float32).max).astype(np.float32)
    assert localisation(wide, masks) == pytest.approx(localisation(ranks.astype(np.float64), masks))


MAPS, MASKS = example(0)
ERRORS = {
    "rank": ((MAPS[0], MASKS[0]), r"shape \(9, 11\)"),
    "shapes": ((MAPS[:4], MASKS), r"float64 of shape \(4, 9, 11\) and bool of shape \(5, 9, 11\)"),
    "whole numbers": ((MAPS.astype(int), MASKS), "int64 of shape"),
    "masks of 0 and 255": ((MAPS, MASKS * np.uint8(255)), "and uint8 of shape"),
    "nan": ((np.where(MASKS, np.nan, MAPS), MASKS), rf"{MASKS.sum()} values that are not"),
    "infinity": ((np.where(MASKS, np.inf, MAPS), MASKS), rf"{MASKS.sum()} values that are not"),
    "no defect": ((MAPS, np.zeros_like(MASKS)), "0 pixels of defects among 495"),
    "no image": ((MAPS[:0], MASKS[:0]), "0 pixels of defects among 0"),
    "nothing clean": ((MAPS, np.ones_like(MASKS)), "495 pixels of defects among 495"),
    **{f"limit {limit!r}": ((MAPS, MASKS, limit), re.escape(repr(limit))) for limit in (0, -0.1, 1.1, np.nan, "0.3", None)},
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    """What is refused, and how it is named."""
    arguments, received = ERRORS[case]
    with pytest.raises(ValueError, match=rf"Received: .*{received}"):
        localisation(*arguments)
