"""Conformal calibration: the formula by brute force, the promise by simulation."""

import math
import re

import numpy as np
import pytest
from keras import ops
from scipy import stats

from keras_ood.calibration.conformal import MINIMUM_SIZE, Calibration

pytestmark = pytest.mark.once


def distinct(count):
    return np.random.default_rng(count).normal(0, 100, count).astype(np.float32)


def tied(count):
    return np.random.default_rng(count).integers(0, 6, count).astype(np.float32)


def constant(count):
    return np.full(count, 3.0, np.float32)


SCORES = {function.__name__: function for function in (distinct, tied, constant)}


@pytest.fixture(params=[f"{name}-{count}" for name in SCORES for count in (20, 21, 99, 333)])
def scores(request):
    """Calibration scores, shuffled, with and without ties."""
    name, count = request.param.split("-")
    return SCORES[name](int(count))


def queries(scores):
    """Every calibration score, the float32 next below and above it, and numbers beyond both ends."""
    near = [np.nextafter(scores, np.float32(side)) for side in (-np.inf, np.inf)]
    ends = np.array([-1e30, 1e30, 0.0], np.float32)
    return np.concatenate([scores, *near, ends])


def false_positive_rates(count):
    """Every step k / (n + 1), the floats next to it, round numbers, and random ones; all within [1 / (n + 1), 1)."""
    steps = np.arange(1, count + 2) / (count + 1)
    round_numbers = [number / 1000 for number in range(1, 1000)] + [0.1 + 0.2, 0.7 - 0.6, 1 - 1e-6, 1 - 1e-12]
    candidates = np.concatenate(
        [
            steps,
            np.nextafter(steps, 0),
            np.nextafter(steps, 1),
            round_numbers,
            np.random.default_rng(0).uniform(0, 1, 200),
        ]
    )
    return candidates[(candidates >= 1 / (count + 1)) & (candidates < 1)]


def test_p_value_is_the_formula(scores):
    """A p-value is (1 + number of calibration scores >= s) / (n + 1), counted one by one, ties included."""
    scored = queries(scores)
    expected = [(1 + sum(other >= score for other in scores.tolist())) / (len(scores) + 1) for score in scored.tolist()]
    p_values = Calibration(scores).p_values(scored)
    assert p_values.dtype == np.float64
    np.testing.assert_array_equal(p_values, expected)


def test_p_values_of_tensors_are_those_of_arrays(scores):
    """At every calibration score, beside it and beyond all, for tensors of several axes; what is subnormal is zero there."""
    asked = queries(scores)
    calibration, asked = Calibration(scores), np.where(np.abs(asked) < np.finfo(np.float32).tiny, 0, asked)[:, None]
    found = ops.convert_to_numpy(calibration.p_values_of_tensors(ops.convert_to_tensor(asked)))
    np.testing.assert_allclose(found[:, 0], calibration.p_values(asked[:, 0]), rtol=1e-6)


def test_a_score_that_is_no_number_is_odder_than_all():
    """What overflowed is flagged: as an array, and in the graphs of exports."""
    calibration, asked = Calibration(np.arange(1.0, 21.0)), np.array([np.nan, np.inf, -np.inf], np.float32)
    np.testing.assert_allclose(calibration.p_values(asked), [1 / 21, 1 / 21, 1])
    np.testing.assert_allclose(calibration.p_values_of_tensors(ops.convert_to_tensor(asked)), [1 / 21, 1 / 21, 1], rtol=1e-6)


def test_p_value_by_hand():
    """With scores 1..20: above all of them 1/21, equal to the largest 2/21, below all of them 1."""
    p_values = Calibration(np.arange(1.0, 21.0)).p_values(np.array([20.5, 20.0, 10.0, 0.0]))
    np.testing.assert_allclose(p_values, [1 / 21, 2 / 21, 12 / 21, 1])


def test_threshold_says_the_same_as_the_p_value(scores):
    """`score > threshold(fpr)` exactly where `p_value <= fpr`: for every reachable fpr, ties and next floats included."""
    calibration = Calibration(scores)
    scored = queries(scores)
    p_values = calibration.p_values(scored)
    wrong = [
        fpr
        for fpr in false_positive_rates(len(scores)).tolist()
        if not np.array_equal(scored > calibration.threshold(fpr), p_values <= fpr)
    ]
    assert not wrong


def test_threshold_by_hand():
    """With scores 1..99, fpr 0.05 flags what exceeds 95: of 100 exchangeable scores 5 at most."""
    calibration = Calibration(np.arange(1.0, 100.0))
    assert calibration.threshold(0.05) == 95.0
    assert calibration.threshold(0.01) == 99.0
    assert calibration.threshold(0.99) == 1.0
    assert isinstance(calibration.threshold(0.05), float)


def test_threshold_falls_as_the_rate_rises(scores):
    """A larger fpr never has a larger threshold, up to the largest float below 1."""
    calibration = Calibration(scores)
    thresholds = [calibration.threshold(fpr) for fpr in np.sort(false_positive_rates(len(scores)))]
    assert np.all(np.diff(thresholds) <= 0)


@pytest.mark.parametrize("count", [20, 37])
@pytest.mark.parametrize("ties", [False, True])
def test_p_values_are_super_uniform(count, ties):
    """Over 4,000 fresh calibrations P(p <= a) exceeds no a, and equals the step below a where there are no ties.

    Each bound is the binomial quantile that chance passes once in 100,000.
    """
    repetitions = 4000
    drawn = np.random.default_rng(count).standard_normal((repetitions, count + 1))
    if ties:
        drawn = np.round(drawn)
    p_values = np.array([Calibration(row[1:]).p_values(row[:1])[0] for row in drawn])
    for level in (0.05, 0.1, 0.2, 0.5, 0.9):
        step = math.floor(level * (count + 1) + 1e-9) / (count + 1)
        rejections = np.count_nonzero(p_values <= level)
        assert rejections <= stats.binom.ppf(1 - 1e-5, repetitions, step)
        if not ties:
            assert rejections >= stats.binom.ppf(1e-5, repetitions, step)


def test_order_and_dtype_of_the_scores_do_not_matter():
    """Sorted, reversed, as float64 or as a list, the scores make the same calibration, and are not changed."""
    scores = distinct(50)
    before = scores.copy()
    scored = queries(scores)
    reference = Calibration(scores)
    assert len(reference) == 50
    np.testing.assert_array_equal(scores, before)
    for other in (np.sort(scores), np.sort(scores)[::-1], scores.astype(np.float64), scores.tolist()):
        np.testing.assert_array_equal(Calibration(other).p_values(scored), reference.p_values(scored))
        assert Calibration(other).threshold(0.1) == reference.threshold(0.1)


def test_twenty_scores_are_the_fewest():
    """19 scores are refused, 20 accepted."""
    assert MINIMUM_SIZE == 20
    assert len(Calibration(distinct(20))) == 20
    with pytest.raises(ValueError, match=r"at least 20 images. Received: .*\(19,\)$"):
        Calibration(distinct(19))


BAD_SCORES = {
    "empty": np.zeros(0, np.float32),
    "matrix": np.zeros((30, 1), np.float32),
    "scalar": np.float32(1),
    "nan": np.array([*range(30), np.nan], np.float32),
    "infinite": np.array([*range(30), np.inf, -np.inf], np.float32),
}


@pytest.mark.parametrize("name", BAD_SCORES)
def test_bad_scores_are_value_errors(name):
    """Scores of wrong shape, or not finite, are refused, and the message ends with what came."""
    with pytest.raises(ValueError, match=r"Received: \S.*$"):
        Calibration(BAD_SCORES[name])


@pytest.mark.parametrize("fpr", [0, -0.1, 1, 1.5, 1 / 22, math.nan, math.inf, -math.inf], ids=str)
def test_unreachable_fpr_is_a_value_error(fpr):
    """With 20 scores, fpr below 1/21, of 1 or more, or no number at all, cannot be promised: the message shows it."""
    calibration = Calibration(distinct(20))
    with pytest.raises(ValueError, match=rf"`fpr` must be at least .*{re.escape(f'Received: fpr={fpr}')}$"):
        calibration.threshold(fpr)


def test_smallest_reachable_fpr_flags_what_exceeds_all():
    """At fpr = 1 / (n + 1) the threshold is the largest calibration score."""
    scores = distinct(20)
    assert Calibration(scores).threshold(1 / 21) == scores.max()


def test_false_alarms_follow_their_law():
    """Of images drawn as the calibration ones were, over many calibrations, as many are flagged as the law says."""
    generator = np.random.default_rng(0)
    flagged = []
    for _ in range(20_000):
        calibration = Calibration(generator.normal(size=39))
        flagged.append(np.sum(generator.normal(size=30) > calibration.threshold(0.1)))
    law = calibration.false_alarms(0.1, images=30)
    assert np.mean(flagged) == pytest.approx(law.mean(), rel=0.05)
    assert np.std(flagged) == pytest.approx(law.std(), rel=0.05)
