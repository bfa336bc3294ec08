"""Calibration by group, and under covariate shift."""

import numpy as np
import pytest

from keras_ood.calibration.conformal import Calibration
from keras_ood.calibration.density_ratio import DensityRatio
from keras_ood.calibration.mondrian import MondrianCalibration
from keras_ood.calibration.rule import Rule
from keras_ood.calibration.weighted import WeightedCalibration

pytestmark = pytest.mark.once

GENERATOR = np.random.default_rng(0)
SCORES, GROUPS = GENERATOR.normal(size=100), np.repeat(["day", "night"], [70, 30])


def test_each_group_is_ranked_in_its_own():
    """P-values, flags and sizes by group, in the order of the images; labels may be numbers."""
    mondrian = MondrianCalibration(SCORES, GROUPS)
    assert mondrian.groups == {"day": 70, "night": 30}
    scores, groups = GENERATOR.normal(size=9), np.array(["night", "day", "day"] * 3)
    expected = [Calibration(SCORES[group == GROUPS]).p_values(score) for score, group in zip(scores, groups, strict=True)]
    np.testing.assert_array_equal(mondrian.p_values(scores, groups), expected)
    np.testing.assert_array_equal(Rule(0.2).flags(np.array(expected), mondrian.parts(groups)), np.array(expected) <= 0.2)
    numbered = MondrianCalibration(SCORES, np.repeat([0, 1], [70, 30]))
    np.testing.assert_array_equal(numbered.p_values(scores[:2], [1, 0]), expected[:2])


def test_groups_go_through_arrays():
    """What is saved is what was made, names with dots, slashes and umlauts among it."""
    names = np.repeat(["a/b.c", "Zürich"], [70, 30])
    again = MondrianCalibration.from_arrays(MondrianCalibration(SCORES, names).arrays())
    assert again.groups == {"Zürich": 30, "a/b.c": 70}
    np.testing.assert_array_equal(again.of("Zürich").scores, np.sort(SCORES[70:].astype(np.float32)))


def test_equal_weights_are_no_weights():
    """Weights that are all the same give the p-values of an ordinary calibration."""
    queries = np.concatenate([GENERATOR.normal(size=50), SCORES[:5]])
    weighted = WeightedCalibration(SCORES, np.full(100, 3.0))
    np.testing.assert_allclose(weighted.p_values(queries, np.full(55, 3.0)), Calibration(SCORES).p_values(queries), rtol=1e-12)
    assert weighted.effective_size == pytest.approx(100)


def test_weighted_p_values_by_the_definition():
    """Summed one by one."""
    weights, own = GENERATOR.uniform(0.5, 2, 100), GENERATOR.uniform(0.5, 2, 20)
    queries = GENERATOR.normal(size=20)
    expected = [(w + weights[s <= SCORES].sum()) / (w + weights.sum()) for s, w in zip(queries, own, strict=True)]
    np.testing.assert_allclose(WeightedCalibration(SCORES, weights).p_values(queries, own), expected, rtol=1e-12)


def test_a_density_ratio_is_that_of_the_densities():
    """Two normal laws of known ratio: the estimate is its logarithm up to a constant; nothing shifted is not told apart."""
    inside, target = GENERATOR.normal(size=(3000, 3)), GENERATOR.normal([0.8, 0, 0], size=(3000, 3))
    ratio = DensityRatio(inside, target)
    points = GENERATOR.normal(size=(200, 3))
    estimated, known = np.log(ratio(points)), 0.8 * points[:, 0]
    assert np.corrcoef(estimated, known)[0, 1] > 0.97
    assert np.std(estimated) == pytest.approx(np.std(known), rel=0.15)
    assert ratio.auroc == pytest.approx(0.714, abs=0.03)  # of two normal laws 0.8 deviations apart
    assert DensityRatio(inside[:1500], inside[1500:]).auroc == pytest.approx(0.5, abs=0.05)


ERRORS = {
    "small group": lambda: MondrianCalibration(SCORES[:80], GROUPS[:80]),
    "unequal": lambda: MondrianCalibration(SCORES, GROUPS[:99]),
    "unknown group": lambda: MondrianCalibration(SCORES, GROUPS).p_values(SCORES[:2], ["day", "dusk"]),
    "not positive": lambda: WeightedCalibration(SCORES, np.zeros(100)),
    "not finite": lambda: WeightedCalibration(SCORES, np.full(100, np.inf)),
    "few count": lambda: WeightedCalibration(SCORES, np.append(np.full(99, 1e-6), 1.0)),
    "shape": lambda: WeightedCalibration(SCORES, np.ones(99)),
    "image's weight": lambda: WeightedCalibration(SCORES, np.ones(100)).p_values(SCORES[:2], np.array([1.0, -1.0])),
    "few images": lambda: DensityRatio(np.ones((100, 2)), np.ones((19, 2))),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_came(name):
    """Each is a ValueError that ends with what was received."""
    with pytest.raises(ValueError, match=r"Received: \S.*$"):
        ERRORS[name]()
