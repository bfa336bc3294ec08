"""Calibration of maps: p-values that hold for an image as a whole."""

import numpy as np
import pytest
from scipy.stats import binom

from keras_ood.calibration.calibrated_scores import CalibratedScores
from keras_ood.calibration.map_calibration import MapCalibration
from keras_ood.calibration.not_calibrated_error import NotCalibratedError

pytestmark = pytest.mark.once


def maps(count, seed=0):
    """Smooth maps whose mean and deviation differ from position to position, with heavy tails."""
    generator = np.random.default_rng(seed)
    where = np.arange(30).reshape(5, 6)
    return where + (1 + where / 10) * generator.standard_t(4, (count, 5, 6))


def test_p_values_are_ranks_among_the_largest_of_whole_images():
    """By the definition: standardised by every other image, ranked among the largest of each of the rest."""
    held_out, new = maps(101), maps(7, seed=1)
    calibration = MapCalibration.of(held_out)
    mean, scale = held_out[0::2].mean(axis=0), held_out[0::2].std(axis=0)
    largest = ((held_out[1::2] - mean) / scale).max(axis=(1, 2))
    expected = (1 + np.sum(largest >= ((new - mean) / scale)[..., None], axis=-1)) / 51
    assert len(calibration) == 50
    np.testing.assert_allclose(calibration.p_values(calibration.standardised(new)), expected, atol=1e-12)


@pytest.mark.parametrize("fpr", [0.02, 0.05, 0.2])
def test_a_share_of_clean_images_at_most_the_level_lights_up_anywhere(fpr):
    """Over 2,000 calibrations of 80 images, one new image each: within the exact interval of the level."""
    alarms = 0
    for seed in range(2_000):
        drawn = maps(81, seed)
        calibration = MapCalibration.of(drawn[:80])
        alarms += bool(np.any(calibration.p_values(calibration.standardised(drawn[80:])) <= fpr))
    level = np.floor(fpr * 41) / 41
    low, high = binom(2_000, level).interval(0.999)
    assert low <= alarms <= high


def test_positions_that_never_vary_are_not_divided_by_zero():
    """Their deviation counts as a tenth of the others' mean."""
    constant = maps(60)
    constant[:, 0, 0] = 3.0
    calibration = MapCalibration.of(constant)
    assert calibration.scale[0, 0] == pytest.approx(0.1 * constant[0::2].std(axis=0).mean(), rel=1e-5)


def test_it_travels_with_the_scores():
    """Arrays give it back; another calibration of maps takes its place, one of scores leaves it; other weights have none."""
    first, second = (MapCalibration.of(maps(60, seed)) for seed in (0, 1))
    kept = CalibratedScores(weights=b"1", maps=first)
    assert kept.updated(CalibratedScores(weights=b"1")).maps is first
    assert kept.updated(CalibratedScores(weights=b"1", maps=second)).maps is second
    arrays = kept.arrays()
    assert all(map(CalibratedScores.owns, arrays))
    again = CalibratedScores.from_arrays(arrays)
    assert again.weights == b"1"
    for name, array in first.arrays().items():
        np.testing.assert_array_equal(again.maps.arrays()[name], array)
    outlived = kept.for_weights(b"2")
    assert not outlived.has_maps
    with pytest.raises(NotCalibratedError, match=r"weights have changed.*call `detector\.calibrate_maps\(images\)`"):
        _ = outlived.maps
    with pytest.raises(ValueError, match="names its weights"):
        CalibratedScores.from_arrays({name: array for name, array in arrays.items() if name.startswith("maps.")})


BAD = {
    "too few": maps(39),
    "no maps": maps(60)[:, 0],
    "not finite": np.where(np.arange(60)[:, None, None] == 7, np.nan, maps(60)),
}


@pytest.mark.parametrize("name", BAD)
def test_other_maps_are_value_errors(name):
    with pytest.raises(ValueError, match=r"at least 40 different images.*Received: shape"):
        MapCalibration.of(BAD[name])


def test_maps_of_another_grid_are_value_errors():
    calibration = MapCalibration.of(maps(60))
    with pytest.raises(ValueError, match=r"grid \(5, 6\)\. Received: \(3, 6, 5\)"):
        calibration.standardised(np.zeros((3, 6, 5)))
    with pytest.raises(ValueError, match=r"Received: shapes \(5, 6\) and \(5, 5\)"):
        MapCalibration(calibration.mean, calibration.scale[:, :5], np.arange(20.0))
