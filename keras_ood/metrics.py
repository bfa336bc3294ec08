"""Detection metrics of two sets of scores; out-of-distribution is the positive class in all but AUPR-in."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import auc, roc_curve

NAMES = ("auroc", "aupr_in", "aupr_out", "fpr95")


@dataclass(frozen=True)
class Interval:
    """A metric with the ends of its 95 % bootstrap interval, None where none was drawn."""

    value: float
    low: float | None
    high: float | None


def detection_metrics(in_scores: np.ndarray, out_scores: np.ndarray) -> dict[str, float]:
    """Return the four metrics of `(N,)` in-distribution and `(M,)` out-of-distribution scores, higher = more OOD.

    - `auroc`: the chance that an OOD image scores above an in-distribution one, ties counted half.
    - `aupr_out`: average precision with OOD as the positive class.
    - `aupr_in`: average precision with in-distribution as the positive class, scores negated.
    - `fpr95`: the share of in-distribution images flagged at the first threshold that flags 95 % of the OOD images.

    Raises:
        ValueError: An empty set, or scores that are not finite.

    >>> detection_metrics(np.array([0.0, 1.0, 2.0]), np.array([2.5, 3.0]))
    {'auroc': 1.0, 'aupr_in': 1.0, 'aupr_out': 1.0, 'fpr95': 0.0}
    """
    scores, is_out = _join(in_scores, out_scores)
    return _weighted_metrics(scores, is_out, None)


def bootstrap_metrics(
    in_scores: np.ndarray, out_scores: np.ndarray, resamples: int = 100, seed: int = 0
) -> dict[str, Interval]:
    """Return the four metrics with percentile bootstrap intervals over the images (95 %), each set resampled on its own.

    The interval says how much the test images decide, not how much the training's seed does; `resamples=0` leaves it out.
    """
    scores, is_out = _join(in_scores, out_scores)
    generator = np.random.default_rng(seed)
    draws = []
    for _ in range(resamples):
        weights = np.empty(len(scores))
        for label in (False, True):
            size = int(np.sum(is_out == label))
            weights[is_out == label] = np.bincount(generator.integers(0, size, size), minlength=size)
        draws.append(_weighted_metrics(scores, is_out, weights))
    values = detection_metrics(in_scores, out_scores)
    if not draws:
        return {name: Interval(value, None, None) for name, value in values.items()}
    intervals = {}
    for name in NAMES:
        low, high = np.quantile([draw[name] for draw in draws], [0.025, 0.975])
        intervals[name] = Interval(values[name], float(low), float(high))
    return intervals


def _join(in_scores: np.ndarray, out_scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    in_scores, out_scores = np.asarray(in_scores), np.asarray(out_scores)
    scores = np.concatenate([in_scores, out_scores])
    if not (len(in_scores) and len(out_scores)) or not np.all(np.isfinite(scores)):
        raise ValueError(
            "Metrics take two sets of finite scores, none empty. Received: "
            f"{len(in_scores)} and {len(out_scores)} scores, {np.sum(~np.isfinite(scores))} not finite"
        )
    return scores, np.repeat([False, True], [len(in_scores), len(out_scores)])


def _weighted_metrics(scores: np.ndarray, is_out: np.ndarray, weights: np.ndarray | None) -> dict[str, float]:
    """All four from one ROC curve: average precision sums precision over the steps of recall."""
    fpr, tpr, _ = roc_curve(is_out, scores, sample_weight=weights, drop_intermediate=False)
    out_total = np.sum(is_out if weights is None else weights[is_out])
    in_total = np.sum(~is_out if weights is None else weights[~is_out])
    out_flagged, in_flagged = np.round(tpr * out_total), np.round(fpr * in_total)  # images: whole numbers add without rounding
    return {
        "auroc": float(auc(in_flagged, out_flagged) / (in_total * out_total)),
        "aupr_in": _average_precision(in_total - in_flagged[::-1], out_total - out_flagged[::-1]),
        "aupr_out": _average_precision(out_flagged, in_flagged),
        "fpr95": float(fpr[np.argmax(tpr >= 0.95 - 1e-12)]),
    }


def _average_precision(true_positives: np.ndarray, false_positives: np.ndarray) -> float:
    flagged = true_positives + false_positives
    precision = np.divide(true_positives, flagged, out=np.ones_like(flagged), where=flagged > 0)
    return float(np.sum(np.diff(true_positives) * precision[1:]) / true_positives[-1])
