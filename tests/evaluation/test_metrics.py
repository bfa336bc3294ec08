"""Metrics against scikit-learn's own functions and brute force."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from keras_ood.evaluation.metrics import bootstrap_metrics, detection_metrics

pytestmark = pytest.mark.once

GENERATOR = np.random.default_rng(0)
PAIRS = {
    "overlapping": (GENERATOR.normal(0, 1, 300), GENERATOR.normal(1.5, 3, 200)),
    "ties": (GENERATOR.integers(0, 5, 100), GENERATOR.integers(2, 8, 150)),
    "separated": (GENERATOR.normal(0, 1, 50), GENERATOR.normal(100, 1, 70)),
    "reversed": (GENERATOR.normal(5, 1, 50), GENERATOR.normal(0, 1, 50)),
    "one each": (np.array([0.0]), np.array([1.0])),
}


@pytest.mark.parametrize("name", PAIRS)
def test_metrics_agree_with_their_definitions(name):
    """AUROC and average precision are scikit-learn's; FPR95 is a count at a threshold; OOD is positive."""
    inside, outside = PAIRS[name]
    labels, scores = np.repeat([0, 1], [len(inside), len(outside)]), np.concatenate([inside, outside])
    metrics = detection_metrics(inside, outside)
    assert metrics["auroc"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert metrics["aupr_out"] == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    assert metrics["aupr_in"] == pytest.approx(average_precision_score(1 - labels, -scores), abs=1e-12)
    thresholds = [value for value in np.unique(scores) if np.mean(outside >= value) >= 0.95]
    assert metrics["fpr95"] == pytest.approx(np.mean(inside >= max(thresholds)), abs=1e-12)


def test_fpr95_has_the_ood_side_as_positive():
    """The classic trap: ID ~ N(0,1), OOD ~ N(1.5,3) reads 0.9995 with OOD positive and 0.52 the other way round."""
    generator = np.random.default_rng(1)
    metrics = detection_metrics(generator.normal(0, 1, 10_000), generator.normal(1.5, 3, 10_000))
    assert metrics["fpr95"] > 0.99
    assert metrics["auroc"] == pytest.approx(0.6815, abs=0.015)


def test_bootstrap_intervals_cover():
    """The interval holds the value, narrows with more images, is the same for a seed, and covers the truth of an easy case."""
    generator = np.random.default_rng(2)
    few = bootstrap_metrics(generator.normal(0, 1, 50), generator.normal(1, 1, 50))["auroc"]
    many = bootstrap_metrics(generator.normal(0, 1, 5000), generator.normal(1, 1, 5000))["auroc"]
    for interval in (few, many):
        assert interval.low < interval.value < interval.high
    assert many.high - many.low < (few.high - few.low) / 3
    assert many.low < 0.7602 < many.high  # Phi(1 / sqrt(2))
    inside, outside = PAIRS["overlapping"]
    assert bootstrap_metrics(inside, outside, seed=1) == bootstrap_metrics(inside, outside, seed=1)
    assert bootstrap_metrics(inside, outside, resamples=0)["auroc"].low is None


@pytest.mark.parametrize("pair", [([], [1.0]), ([1.0], []), ([np.nan], [1.0]), ([0.0], [np.inf])])
def test_bad_scores(pair):
    """Empty or non-finite scores are refused."""
    with pytest.raises(ValueError, match="Received: "):
        detection_metrics(*map(np.array, pair))
