"""Detection metrics of two sets of scores; out-of-distribution is the positive class in all but AUPR-in."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import auc

from keras_ood.terminal.numbers import is_whole

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

    Examples:
        >>> detection_metrics(np.array([0.0, 1.0, 2.0]), np.array([2.5, 3.0]))
        {'auroc': 1.0, 'aupr_in': 1.0, 'aupr_out': 1.0, 'fpr95': 0.0}
    """
    scores, is_out = _join(in_scores, out_scores)
    return _metrics(*_flagged(is_out, np.ones(len(scores)), *_sorted(scores)))


def bootstrap_metrics(
    in_scores: np.ndarray, out_scores: np.ndarray, resamples: int = 100, seed: int = 0
) -> dict[str, Interval]:
    """Return the four metrics with percentile bootstrap intervals over the images (95 %), each set resampled on its own.

    The interval says how much the test images decide, not how much the training's seed does; `resamples=0` leaves it out.

    Raises:
        ValueError: As `detection_metrics`, or a number of resamples that is none.
    """
    check_resamples(resamples)
    scores, is_out = _join(in_scores, out_scores)
    order, last = _sorted(scores)
    generator = np.random.default_rng(seed)
    draws = []
    for _ in range(resamples):
        weights = np.empty(len(scores))
        for label in (False, True):
            size = int(np.sum(is_out == label))
            weights[is_out == label] = np.bincount(generator.integers(0, size, size), minlength=size)
        draws.append(_metrics(*_flagged(is_out, weights, order, last)))
    values = detection_metrics(in_scores, out_scores)
    if not draws:
        return {name: Interval(value, None, None) for name, value in values.items()}
    intervals = {}
    for name in NAMES:
        low, high = np.quantile([draw[name] for draw in draws], [0.025, 0.975])
        intervals[name] = Interval(values[name], float(low), float(high))
    return intervals


def exact_interval(count: int, total: int, level: float = 0.95) -> tuple[float, float]:
    """Return the ends of the exact interval of a share, `count` of `total` (Clopper, Pearson, 1934).

    Raises:
        ValueError: A count that is none of the total.

    Examples:
        >>> exact_interval(0, 100)
        (0.0, 0.0362166926...)
    """
    from scipy.stats import binomtest  # here: it takes a second to import

    found = binomtest(count, total).proportion_ci(level, method="exact")
    return float(found.low), float(found.high)


def check_resamples(resamples: int) -> None:
    """Refuse a number of resamples that is none."""
    if not is_whole(resamples, 0):
        raise ValueError(f"`resamples` must be a whole number, 0 for no intervals. Received: {resamples!r}")


def _join(in_scores: np.ndarray, out_scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    in_scores, out_scores = np.asarray(in_scores), np.asarray(out_scores)
    scores = np.concatenate([in_scores, out_scores])
    if not (len(in_scores) and len(out_scores)) or not np.all(np.isfinite(scores)):
        raise ValueError(
            "Metrics take two sets of finite scores, none empty. Received: "
            f"{len(in_scores)} and {len(out_scores)} scores, {np.sum(~np.isfinite(scores))} not finite"
        )
    return scores, np.repeat([False, True], [len(in_scores), len(out_scores)])


def _sorted(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order of falling scores, and where in it each different score is met last: the same for every resample."""
    order = np.argsort(-scores, kind="stable")
    return order, np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)


def _flagged(is_out: np.ndarray, weights: np.ndarray, order: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of OOD and of in-distribution images flagged at each threshold, from none to all: the ROC curve in whole numbers.

    `sklearn.metrics.roc_curve` would sort again for every resample.
    """
    out_weights = np.where(is_out, weights, 0)[order]
    totals = np.cumsum(out_weights)[last], np.cumsum(weights[order] - out_weights)[last]
    return np.append(0, totals[0]), np.append(0, totals[1])


def _metrics(out_flagged: np.ndarray, in_flagged: np.ndarray) -> dict[str, float]:
    """All four from one ROC curve: average precision sums precision over the steps of recall."""
    out_total, in_total = out_flagged[-1], in_flagged[-1]
    return {
        "auroc": float(auc(in_flagged, out_flagged) / (in_total * out_total)),
        "aupr_in": _average_precision(in_total - in_flagged[::-1], out_total - out_flagged[::-1]),
        "aupr_out": _average_precision(out_flagged, in_flagged),
        "fpr95": float(in_flagged[np.argmax(out_flagged / out_total >= 0.95 - 1e-12)] / in_total),
    }


def _average_precision(true_positives: np.ndarray, false_positives: np.ndarray) -> float:
    flagged = true_positives + false_positives
    precision = np.divide(true_positives, flagged, out=np.ones_like(flagged), where=flagged > 0)
    return float(np.sum(np.diff(true_positives) * precision[1:]) / true_positives[-1])
