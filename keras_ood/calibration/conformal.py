"""Conformal calibration: from scores to p-values and to thresholds that hold a false positive rate."""

import math
from typing import Any

import numpy as np
from keras import ops

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
            below = below + step * ops.cast(ops.take(ranked, below + (step - 1)) < scores, "int32")
        return (1 + len(self) - ops.cast(below, "float32")) / (len(self) + 1)

    def threshold(self, fpr: float) -> float:
        """Return the score above which an image is flagged so that at most `fpr` of in-distribution images are.

        `score > threshold(fpr)` says the same as `p_value <= fpr`.

        Raises:
            ValueError: `fpr` is outside [1 / (n + 1), 1): no threshold on `n` scores can promise it.
        """
        count = len(self) + 1
        if not 1 / count <= fpr < 1:
            raise ValueError(
                f"With {len(self)} calibration images `fpr` must be at least 1 / (n + 1) = {1 / count:.3g} and below 1; "
                f"calibrate on more images for a smaller one. Received: fpr={fpr}"
            )
        return float(self.scores[len(self) - self._rank(fpr)])

    def false_alarms(self, fpr: float, images: int) -> Any:
        """Return the law of how many of so many in-distribution images are flagged, over calibrations: SciPy's `betabinom`."""
        from scipy.stats import betabinom  # here: it takes a second to import

        rank = self._rank(fpr)
        return betabinom(images, rank, len(self) + 1 - rank)

    def _rank(self, fpr: float) -> int:
        """The largest with rank / (n + 1) <= fpr, by the division that p-values are made of: the product may round across."""
        count = len(self) + 1
        rank = math.floor(fpr * count)
        rank += (rank + 1) / count <= fpr
        rank -= rank / count > fpr
        return rank
