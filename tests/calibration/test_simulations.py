"""Promises on real scores of the zoo, each drawn at least 2,000 times, within exact intervals; and what breaks them."""

import numpy as np
import pytest
from scipy.stats import binomtest

import keras_ood
from keras_ood import datasets
from keras_ood.calibration import guarantees
from keras_ood.calibration.conformal import Calibration
from keras_ood.calibration.mondrian import MondrianCalibration
from keras_ood.calibration.rule import Rule
from keras_ood.calibration.weighted import WeightedCalibration

pytestmark = pytest.mark.once

TIMES, CONFIDENCE = 2_000, 0.999
PRESET, SCORE = "tilted-vae-fashion-mnist-pixels", "nll"


@pytest.fixture(scope="module")
def detector():
    return keras_ood.from_pretrained(PRESET)


@pytest.fixture(scope="module")
def inside(detector):
    """Scores of 5,000 held-out images, which the preset ships."""
    scores = detector.calibration(SCORE).scores
    assert len(np.unique(scores)) > 4_990
    return scores


@pytest.fixture(scope="module")
def outside(detector):
    """Scores of other images: handwritten digits, and what is drawn."""
    digits = datasets.load("digits", "test")[0]
    drawn = datasets.synthesize("noise", np.zeros((100, 28, 28, 1), np.uint8))
    return np.concatenate([detector.score(images, SCORE, progress=False) for images in (digits, drawn)])


def draws(scores, *sizes):
    """Disjoint random parts of the scores, again and again."""
    generator = np.random.default_rng(0)
    for _ in range(TIMES):
        yield np.split(generator.choice(scores, sum(sizes), replace=False), np.cumsum(sizes)[:-1])


def interval(successes):
    """The exact (Clopper, Pearson) interval of a chance."""
    return binomtest(int(successes), TIMES).proportion_ci(CONFIDENCE)


@pytest.mark.parametrize("rule", [Rule(fdr=0.1), Rule(fdr=0.1, storey=True)], ids=["plain", "Storey"])
def test_among_in_distribution_images_alone_few_sets_have_a_discovery(inside, rule):
    """All discoveries are false then: any at all in a share `fdr` of sets, exactly so where `fdr` (n + 1) / m is whole.

    Images taken one by one: in most sets.
    """
    found = single = 0
    for calibration, images in draws(inside, 999, 10):
        made = Calibration(calibration)
        p_values = made.p_values(images)
        found += rule.flags(p_values, [(slice(None), made)]).any()
        single += np.any(p_values <= 0.1)
    assert interval(found).low <= rule.rate <= interval(found).high
    assert interval(single).low > 0.5


@pytest.mark.parametrize(
    ("rule", "least_power"),
    [(Rule(fdr=0.1), 0.5), (Rule(fdr=0.1, storey=True), 0.5), (Rule(fdr=0.1, confidence=0.9), 0.1)],
    ids=["plain", "Storey", "confidence"],
)
def test_false_discoveries_stay_below_their_rate(inside, outside, rule, least_power):
    """60 odd images among 300: the mean share of false ones among the flagged is at most `fdr`, and many odd ones are found.

    The promise is for all: `fdr` times the share of in-distribution images, with Storey's factor `fdr`. What is flagged at 5 %
    one by one holds another share of false ones, and how large it is depends on the mixture.
    """
    generator, shares, power, by_fpr = np.random.default_rng(1), [], [], []
    for calibration, images in draws(inside, 1_000, 240):
        made = Calibration(calibration)
        p_values = made.p_values(np.concatenate([images, generator.choice(outside, 60, replace=False)]))
        flags = rule.flags(p_values, [(slice(None), made)])
        shares.append(flags[:240].sum() / max(flags.sum(), 1))
        power.append(flags[240:].mean())
        by_fpr.append(np.mean(p_values[:240] <= 0.05) * 240 / max(np.sum(p_values <= 0.05), 1))
    margin = 3.3 * np.std(shares) / np.sqrt(TIMES)
    assert np.mean(shares) - margin <= rule.rate * (1.0 if rule.storey else 0.8)
    assert np.mean(power) > least_power
    assert np.mean(by_fpr) > 0.15


@pytest.mark.parametrize("size", [60, 400])
def test_the_rate_of_a_calibration_is_within_its_bound(inside, size):
    """Its true rate, counted on all scores, is below the bound with 95 % chance; the rate that is held on average often not."""
    generator, below, sure, nominal = np.random.default_rng(2), 0, 0, 0
    for _ in range(TIMES):
        made = Calibration(generator.choice(inside, size))
        true = np.mean(inside > made.threshold(0.05))
        below += true <= made.true_fpr(0.05).ppf(0.95)
        sure += np.mean(inside > made.threshold(0.05, 0.95)) <= 0.05
        nominal += true <= 0.05
    assert interval(below).low <= 0.95 <= interval(below).high + 0.005  # scores that tie make the bound wider
    assert interval(sure).high >= 0.95
    assert interval(nominal).high < 0.8


@pytest.mark.parametrize("bound", guarantees.BOUNDS)
def test_conditional_p_values_hold_at_every_level_at_once(inside, bound):
    """Of a calibration no level's share exceeds the level, with 90 % chance; ordinary p-values exceed one nearly always."""
    generator, held, ordinary = np.random.default_rng(3), 0, 0
    for _ in range(TIMES):
        made = Calibration(generator.choice(inside, 300))
        above = 1 - np.searchsorted(inside, made.scores[::-1], side="right") / len(inside)  # flagged in the r highest parts
        held += np.all(above <= guarantees.simultaneous_bounds(300, 0.9, bound)[:-1] + 1e-12)
        ordinary += np.all(above <= np.arange(1, 301) / 301)
    assert interval(held).high >= 0.9
    assert interval(held).low < 0.95
    assert interval(ordinary).high < 0.2


def test_groups_keep_their_own_rate(inside):
    """A fifth of the images comes from a group that scores higher: pooled, half of its images are flagged; by group, few."""
    split = np.quantile(inside, 0.8)
    high, low = inside[inside > split], inside[inside <= split]
    generator, pooled, grouped = np.random.default_rng(4), 0, 0
    for _ in range(TIMES):
        scores = np.concatenate([generator.choice(high, 41, replace=False), generator.choice(low, 160, replace=False)])
        groups = np.repeat(["high", "low"], [41, 160])
        held, new = slice(1, None), scores[0]
        pooled += Calibration(scores[held]).p_values(new) <= 0.1
        grouped += MondrianCalibration(scores[held], groups[held]).p_values(scores[:1], groups[:1])[0] <= 0.1
    level = 4 / 41
    assert interval(grouped).low <= level <= interval(grouped).high
    assert interval(pooled).low > 0.4


def test_weights_mend_a_shift(inside):
    """Images come in other proportions than they were held out: weighted p-values keep the rate, unweighted ones do not."""
    ranks = np.linspace(-1, 1, len(inside))
    weight = np.exp(2 * ranks)  # of the score alone, so that the shift is known
    generator, mended, plain = np.random.default_rng(5), 0, 0
    for _ in range(TIMES):
        held = generator.integers(0, len(inside), 200)
        new = generator.choice(len(inside), 1, p=weight / weight.sum())
        mended += WeightedCalibration(inside[held], weight[held]).p_values(inside[new], weight[new])[0] <= 0.1
        plain += Calibration(inside[held]).p_values(inside[new])[0] <= 0.1
    assert interval(mended).low <= 0.1
    assert interval(mended).high > 0.07
    assert interval(plain).low > 0.2
