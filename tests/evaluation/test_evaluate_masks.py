"""A detector against masks: by kind of defect and over all."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from keras_ood.calibration.map_calibration import MapCalibration
from keras_ood.datasets.masked import GOOD, MaskedImages
from keras_ood.evaluation import evaluate_masks, localisation
from keras_ood.images import ImageFiles

pytestmark = pytest.mark.once

KINDS = [GOOD, "dent", "scratch", GOOD, "dent"]


@pytest.fixture
def masked(tmp_path):
    """Five images, three with a defect in the rows of their number."""
    test, masks = [], []
    for number, kind in enumerate(KINDS):
        test.append(tmp_path / f"{number}.png")
        Image.fromarray(np.full((8, 8), 40 * number, np.uint8)).save(test[-1])
        mask = np.zeros((8, 8), np.uint8)
        mask[number] = 255
        masks.append(None if kind == GOOD else tmp_path / f"{number}-mask.png")
        if masks[-1] is not None:
            Image.fromarray(mask).save(masks[-1])
    return MaskedImages([], test, KINDS, masks)


class Looking:
    """A detector whose maps are given; `calibration` None for none."""

    def __init__(self, maps, calibration=None):
        self.image_shape, self.preprocessing = (8, 8, 1), SimpleNamespace(aspect="stretch")
        self.calibrated = SimpleNamespace(has_maps=calibration is not None, maps=calibration)
        self._maps = maps

    def fine_map(self, images, batch_size, progress):
        """The maps, of image files in their order."""
        assert isinstance(images, ImageFiles)
        assert len(images) == len(self._maps)
        return self._maps


def test_rows_are_the_metrics_of_a_kind_and_the_clean_images(masked):
    """Each kind is measured with all clean images, all kinds together last; without a calibration nothing is flagged."""
    maps = np.random.default_rng(0).normal(size=(5, 8, 8))
    masks = masked.masks((8, 8))
    rows = evaluate_masks(Looking(maps), masked)
    assert [(row.defect, row.images, row.clean_images) for row in rows] == [("dent", 2, 2), ("scratch", 1, 2), ("all", 3, 2)]
    for row, chosen in zip(rows, ([0, 1, 3, 4], [0, 2, 3], [0, 1, 2, 3, 4]), strict=True):
        expected = localisation(maps[chosen], masks[chosen])
        assert {name: getattr(row, name) for name in expected} == expected
        assert (row.flagged, row.clean_flagged) == (None, None)


def test_flags_are_those_of_the_heat_maps(masked):
    """An image is flagged by its largest score against those of held-out images; clean ones are false alarms."""
    calibration = MapCalibration(np.zeros((8, 8)), np.ones((8, 8)), np.arange(99) / 99)
    maps = np.zeros((5, 8, 8))
    maps[[1, 2, 3], 0, 0] = 0.999, 0.5, 0.99
    rows = evaluate_masks(Looking(maps, calibration), masked, fpr=0.02)
    assert [(row.flagged, row.clean_flagged) for row in rows] == [(0.5, 0.5), (0, 0.5), (1 / 3, 0.5)]


def test_without_clean_images_and_without_defects(masked):
    """Only what can be measured is; images without a defect alone are refused."""
    chosen = [1, 2, 4]
    defects = MaskedImages([], *([part[i] for i in chosen] for part in (masked.test, masked.kinds, masked.mask_files)))
    row = evaluate_masks(Looking(np.random.default_rng(0).normal(size=(3, 8, 8))), defects)[-1]
    assert (row.image_auroc, row.clean_flagged, row.clean_images) == (None, None, 0)
    clean = MaskedImages([], masked.test[:1], [GOOD], [None])
    with pytest.raises(ValueError, match=r"test images with defects. Received: 1 of the kinds \{'good'\}"):
        evaluate_masks(Looking(np.zeros((1, 8, 8))), clean)
