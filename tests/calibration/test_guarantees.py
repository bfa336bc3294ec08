"""What calibration images guarantee: ranks, bounds, numbers of images, against SciPy, by search, and by simulation."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

from keras_ood.calibration import guarantees
from keras_ood.calibration.conformal import Calibration

pytestmark = pytest.mark.once


def held(images, fpr, at_most, confidence):
    """Whether of one calibration at most this share is flagged, by the definition; where nothing can be flagged, it is."""
    flagged = int(np.floor(fpr * (images + 1) + 1e-9))
    return flagged == 0 or beta.cdf(at_most, flagged, images + 1 - flagged) >= confidence


@pytest.mark.parametrize("confidence", [0.9, 0.99])
@pytest.mark.parametrize(("fpr", "at_most"), [(0.05, 0.06), (0.05, 0.1), (0.1, 0.11), (0.02, 0.03), (0.3, 0.5), (0.2, 0.9)])
def test_images_needed_are_the_least(fpr, at_most, confidence):
    """One image less, and there is a number of images that is not enough; from it on every one is."""
    needed = guarantees.images_needed(at_most, fpr, confidence)
    first = int(np.ceil(1 / fpr)) - 1
    assert needed == first or not held(needed - 1, fpr, at_most, confidence)
    assert all(held(images, fpr, at_most, confidence) for images in range(needed, needed + 1000))


@pytest.mark.parametrize("at_most", [0.3, 0.05, 0.01, 1e-4])
def test_images_needed_for_a_threshold_at_all(at_most):
    """From that number on the largest score is a threshold with this confidence (Wilks)."""
    needed = guarantees.images_needed(at_most, confidence=0.95)
    assert (1 - at_most) ** needed <= 0.05 < (1 - at_most) ** (needed - 1)


@pytest.mark.parametrize("images", [60, 100, 999, 5000])
@pytest.mark.parametrize("fpr", [0.05, 0.1])
def test_conditional_ranks_are_the_largest(images, fpr):
    """One part more would not hold."""
    found = guarantees.conditional_rank(images, fpr, 0.95)
    assert beta(found, images + 1 - found).cdf(fpr) >= 0.95 > beta(found + 1, images - found).cdf(fpr)
    assert found < guarantees.rank(images, fpr)


def test_a_calibration_states_its_own_rate():
    """`true_fpr` is the law of the rank, and a threshold with confidence is the score of a lower one."""
    calibration = Calibration(np.arange(1000.0))
    assert calibration.true_fpr(0.05).ppf(0.95) == pytest.approx(beta(50, 951).ppf(0.95))
    assert calibration.true_fpr(0.05, 0.95).ppf(0.95) <= 0.05
    assert calibration.threshold(0.05, 0.95) > calibration.threshold(0.05)
    p_values = calibration.p_values(np.arange(-5.0, 1005.0))
    flagged = np.arange(-5.0, 1005.0) > calibration.threshold(0.05, 0.95)
    np.testing.assert_array_equal(flagged, p_values <= calibration.level(0.05, 0.95))


@pytest.mark.parametrize("bound", guarantees.BOUNDS)
@pytest.mark.parametrize("images", [20, 21, 300])
def test_bounds_hold_at_once(bound, images):
    """Of 20,000 sets of uniform numbers as many lie below the bounds everywhere as promised, and hardly more."""
    confidence = 0.9
    bounds = guarantees.simultaneous_bounds(images, confidence, bound)
    assert bounds.shape == (images + 1,)
    assert bounds[-1] == 1
    assert np.all(np.diff(bounds) >= 0)
    shares = np.sort(np.random.default_rng(0).random((20_000, images)), axis=1)
    coverage = np.mean(np.all(shares <= bounds[:-1], axis=1))
    assert confidence - 0.01 < coverage < confidence + 0.03


def test_bounds_against_their_formulas():
    """Simes' as the product in Bates et al.'s Proposition 2, DKW's as Massart's."""
    images, risk, half = 30, 0.1, 15
    simes = guarantees.simultaneous_bounds(images, 1 - risk)
    for below in range(1, images + 1):
        product = np.prod([(below - step) / (images - step) for step in range(half)]) if below >= half else 0.0
        assert simes[images - below] == pytest.approx(1 - (risk * product) ** (1 / half), abs=1e-12)
    dkw = guarantees.simultaneous_bounds(images, 1 - risk, "dkw")
    assert dkw[0] == pytest.approx(np.sqrt(np.log(1 / risk) / (2 * images)))


def test_conditional_p_values_are_bounds_of_their_ranks():
    """A score among the calibration's has the bound of its rank; one above all has the first, one below all the last, 1."""
    calibration = Calibration(np.arange(100.0))
    bounds = guarantees.simultaneous_bounds(100, 0.95)
    found = calibration.conditional(calibration.p_values(np.array([200.0, 98.5, -1.0])), 0.95)
    np.testing.assert_array_equal(found, bounds[[0, 1, 100]])
    p_values = calibration.p_values(np.random.default_rng(0).uniform(-10, 110, (5, 7)))
    assert np.all(calibration.conditional(p_values, 0.95) >= p_values)


ERRORS = {
    "confidence": lambda: guarantees.images_needed(0.05, confidence=1.0),
    "bound below the rate": lambda: guarantees.images_needed(0.05, fpr=0.05),
    "no rate": lambda: guarantees.images_needed(0.0),
    "bound's name": lambda: guarantees.simultaneous_bounds(30, 0.9, "exact"),
    "too few": lambda: guarantees.conditional_rank(58, 0.05, 0.95),
    "rate out of reach": lambda: guarantees.rank(58, 0.01),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_came(name):
    """Each is a ValueError that ends with what was received."""
    with pytest.raises(ValueError, match=r"Received: \S.*$"):
        ERRORS[name]()


def test_what_is_too_few_is_said():
    """The error names the number that is enough, and it is."""
    with pytest.raises(ValueError, match="takes 59 calibration images"):
        guarantees.conditional_rank(58, 0.05, 0.95)
    assert guarantees.conditional_rank(59, 0.05, 0.95) == 1


def test_the_page_on_decisions_has_this_table():
    """How many images a guarantee takes, by the function."""
    rows = []
    for fpr in (0.1, 0.05, 0.02, 0.01, 0.001):
        least = next(images for images in range(1, 1000) if (images + 1) * fpr >= 1 - 1e-9)
        needed = [least, guarantees.images_needed(fpr), *(guarantees.images_needed(k * fpr, fpr) for k in (2, 1.5, 1.2, 1.1))]
        rows.append(f"| {100 * fpr:g} % | " + " | ".join(f"{images:,}" for images in needed) + " |\n")
    assert "".join(rows) in (Path(__file__).parents[2] / "docs" / "decisions.md").read_text()
