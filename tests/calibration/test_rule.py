"""From p-values to flags."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from keras_ood.calibration.conformal import Calibration
from keras_ood.calibration.rule import Rule

pytestmark = pytest.mark.once

CALIBRATION = Calibration(np.arange(999.0))
GENERATOR = np.random.default_rng(0)
P_VALUES = CALIBRATION.p_values(np.concatenate([GENERATOR.uniform(0, 999, 300), GENERATOR.uniform(980, 1100, 60)]))
WHOLE = [(slice(None), CALIBRATION)]


def test_a_false_positive_rate_is_a_level():
    """5 % unless another is asked for; with confidence the level is lower."""
    np.testing.assert_array_equal(Rule().flags(P_VALUES, WHOLE), P_VALUES <= 0.05)
    np.testing.assert_array_equal(Rule(0.01).flags(P_VALUES, WHOLE), P_VALUES <= 0.01)
    sure = Rule(0.05, confidence=0.95).flags(P_VALUES, WHOLE)
    np.testing.assert_array_equal(sure, CALIBRATION.level(0.05, 0.95) >= P_VALUES)
    assert 0 < sure.sum() < np.sum(P_VALUES <= 0.05)


@pytest.mark.parametrize("fdr", [0.05, 0.1, 0.3])
def test_a_false_discovery_rate_is_benjamini_and_hochbergs(fdr):
    """As step-up by hand; Storey's factor flags no fewer; confidence flags no more."""
    order = np.sort(P_VALUES)
    below = order <= fdr * np.arange(1, len(order) + 1) / len(order) + 1e-12
    expected = order[np.flatnonzero(below).max()] >= P_VALUES
    flags = Rule(fdr=fdr).flags(P_VALUES, WHOLE)
    np.testing.assert_array_equal(flags, expected)
    np.testing.assert_array_equal(flags, false_discovery_control(P_VALUES) <= fdr)
    null = (1 + np.sum(P_VALUES >= 0.5)) / (len(P_VALUES) * 0.5)
    with_storey = Rule(fdr=fdr, storey=True).flags(P_VALUES, WHOLE)
    np.testing.assert_array_equal(with_storey, false_discovery_control(P_VALUES) * null <= fdr)
    assert np.all(with_storey >= flags)
    sure = Rule(fdr=fdr, confidence=0.9).flags(P_VALUES, WHOLE)
    np.testing.assert_array_equal(sure, false_discovery_control(CALIBRATION.conditional(P_VALUES, 0.9)) <= fdr)
    assert np.all(sure <= flags)


def test_no_images_have_no_flags():
    """Neither rule stumbles over an empty set."""
    for rule in (Rule(), Rule(fdr=0.1)):
        assert rule.flags(np.zeros(0), WHOLE).shape == (0,)


def test_images_of_several_calibrations_are_judged_together():
    """Each is ranked in its own; a false discovery rate is that of all of them."""
    other = Calibration(np.arange(99.0))
    halves = np.arange(len(P_VALUES)) < 200
    parts = [(halves, CALIBRATION), (~halves, other)]
    np.testing.assert_array_equal(Rule(fdr=0.1).flags(P_VALUES, parts), false_discovery_control(P_VALUES) <= 0.1)
    sure = Rule(0.05, confidence=0.95).flags(P_VALUES, parts)
    levels = np.where(halves, CALIBRATION.level(0.05, 0.95), other.level(0.05, 0.95))
    np.testing.assert_array_equal(sure, levels >= P_VALUES)


ERRORS = {
    "two rates": lambda: Rule(0.05, fdr=0.1),
    "storey without fdr": lambda: Rule(0.05, storey=True),
    "fdr of 1": lambda: Rule(fdr=1.0),
    "fpr of 0": lambda: Rule(0.0),
    "no number": lambda: Rule(fdr=float("nan")),
    "fpr out of reach": lambda: Rule(0.0005).require(CALIBRATION),
    "fdr out of reach": lambda: Rule(fdr=0.0005).require(CALIBRATION),
    "fdr out of reach with confidence": lambda: Rule(fdr=0.003, confidence=0.95).require(CALIBRATION),
    "confidence": lambda: Rule(0.05, confidence=1.5).require(CALIBRATION),
}


def test_storeys_factor_may_reach_what_the_procedure_cannot():
    """Where every image is odd, a rate below the least p-value is held all the same."""
    few = Calibration(np.arange(20.0))
    p_values = few.p_values(np.full(100, 30.0))
    assert Rule(fdr=0.04, storey=True).flags(p_values, [(slice(None), few)]).all()


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_came(name):
    """Each is a ValueError that ends with what was received."""
    with pytest.raises(ValueError, match=r"Received: \S.*$"):
        ERRORS[name]()


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Rule(), "a false positive rate of 5 %"),
        (Rule(fdr=0.1), "a false discovery rate of 10 %"),
        (Rule(0.01, confidence=0.95), "a false positive rate of 1 % with 95 % confidence"),
    ],
)
def test_a_rule_says_what_it_holds(rule, words):
    """For commands and pages."""
    assert str(rule) == words
