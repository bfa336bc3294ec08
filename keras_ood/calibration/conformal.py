"""Conformal calibration: from scores to p-values and to thresholds that hold a false positive rate."""

from typing import Any

import numpy as np
from keras import ops

from keras_ood.calibration import guarantees

MINIMUM_SIZE = 20


class Calibration:
    """Scores of held-out in-distribution images, against which a new score is ranked.

    With `n` calibration scores, a score `s` has the p-value `(1 + #{calibration >= s}) / (n + 1)`. For a new image drawn
    as the calibration images were, `P(p <= a) <= a` for every `a`, whatever the detector (split conformal prediction:
    Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005).

    Args:
        scores: `(n,)` finite numbers, `n >= 20`, in any order.
    """

    def __init__(self, scores: np.ndarray) -> None:
        scores = np.asarray(scores, np.float32)
        if scores.ndim != 1 or len(scores) < MINIMUM_SIZE:
            raise ValueError(f"Calibration takes at least {MINIMUM_SIZE} images. Received: scores of shape {scores.shape}")
        if not np.all(np.isfinite(scores)):
            raise ValueError(f"Calibration scores must be finite. Received: {np.sum(~np.isfinite(scores))} that are not")
        self.scores = np.sort(scores)

    def __len__(self) -> int:
        return len(self.scores)

    def p_values(self, scores: np.ndarray) -> np.ndarray:
        """Return the float64 conformal p-values of scores of any shape; small means out-of-distribution."""
        at_least = len(self) - np.searchsorted(self.scores, np.asarray(scores, np.float32), side="left")
        return (1.0 + at_least) / (len(self) + 1.0)

    def p_values_of_tensors(self, scores: Any) -> Any:
        """Return what `p_values` does, float32, of tensors of any shape, of the active backend: in a graph for every runtime.

        The rank is found by halving, in `log2 n` comparisons of each score: some runtimes lack `searchsorted`, and to compare
        every pixel of a map with every calibration score takes a hundred times as long.
        """
        halvings = len(self).bit_length()
        ranked = np.append(self.scores, np.full(2**halvings - 1 - len(self), np.inf, np.float32))
        below = ops.zeros_like(scores, dtype="int32")  # so many calibration scores are below, at least
        for step in (2**power for power in reversed(range(halvings))):
            reached = ops.take(ranked, below + (step - 1)) >= scores
            below = below + step * ops.cast(ops.logical_not(reached), "int32")  # so a NaN is above all, as in `p_values`
        return (1 + len(self) - ops.cast(ops.minimum(below, len(self)), "float32")) / (len(self) + 1)

    def conditional(self, p_values: np.ndarray, confidence: float, bound: str = "simes") -> np.ndarray:
        """Return float64 p-values that hold for this calibration, not on average over calibrations.

        With the probability `confidence` over the calibration images, `P(p <= a | calibration) <= a` for every `a` at once.

        Args:
            p_values: Of `p_values`, of any shape; what is returned is a function of them, and larger.
            confidence: Between 0 and 1.
            bound: See `keras_ood.calibration.guarantees.BOUNDS`.

        Raises:
            ValueError: A confidence or a bound that is none.

        Source: Bates, Candes, Lei, Romano, Sesia, "Testing for outliers with conformal p-values", 2023 (arXiv 2104.08279).
        """
        bounds = guarantees.simultaneous_bounds(len(self), confidence, bound)
        return np.asarray(bounds[np.rint(np.asarray(p_values) * (len(self) + 1)).astype(int) - 1])

    def threshold(self, fpr: float, confidence: float | None = None) -> float:
        """Return the score above which an image is flagged so that at most `fpr` of in-distribution images are.

        `score > threshold(fpr)` says the same as `p_value <= level(fpr)`.

        Args:
            fpr: False positive rate to hold.
            confidence: None: it holds on average over calibrations. Otherwise for this one, with this probability.

        Raises:
            ValueError: No threshold on `n` scores can promise it.
        """
        return float(self.scores[len(self) - self._rank(fpr, confidence)])

    def level(self, fpr: float, confidence: float | None = None) -> float:
        """Return the largest p-value that is flagged, a multiple of `1 / (n + 1)`; see `threshold`."""
        return self._rank(fpr, confidence) / (len(self) + 1)

    def true_fpr(self, fpr: float, confidence: float | None = None) -> Any:
        """Return the law of the share of in-distribution images above `threshold(fpr)`, over calibrations: SciPy's `beta`.

        `true_fpr(0.05).ppf(0.95)` is what the rate of this very calibration stays below with 95 % confidence: exact for
        continuous scores, and with ties an upper bound.
        """
        return guarantees.true_fpr(len(self), self._rank(fpr, confidence))

    def false_alarms(self, fpr: float, images: int) -> Any:
        """Return the law of how many of so many in-distribution images are flagged, over calibrations: SciPy's `betabinom`."""
        return guarantees.false_alarms(len(self), self._rank(fpr), images)

    def _rank(self, fpr: float, confidence: float | None = None) -> int:
        """How many ranks of a score among `n + 1` are flagged."""
        if confidence is not None:
            return guarantees.conditional_rank(len(self), fpr, confidence)
        return guarantees.rank(len(self), fpr)
