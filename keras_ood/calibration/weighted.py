"""Conformal p-values under covariate shift: held-out images count as much as images like them are to be expected."""

import numpy as np

from keras_ood.calibration.conformal import MINIMUM_SIZE


class WeightedCalibration:
    """Scores of held-out in-distribution images with weights.

    With weights proportional to the density of new in-distribution images over that of the held-out ones, and `w` that of a new
    image with the score `s`, its p-value is `(w + sum of weights where calibration >= s) / (w + sum of all)`. For known weights
    `P(p <= a) <= a`; for estimated ones nearly so.

    Args:
        scores: `(n,)` finite numbers, in any order.
        weights: `(n,)` positive numbers.

    Attributes:
        effective_size: As how many images the weighted ones count (Kish).

    Raises:
        ValueError: Other numbers, or weights that rest on fewer than 20 images, see `effective_size`.

    Source: Tibshirani, Barber, Candes, Ramdas, "Conformal prediction under covariate shift", 2019 (arXiv 1904.06019).
    """

    def __init__(self, scores: np.ndarray, weights: np.ndarray) -> None:
        scores, weights = np.asarray(scores, np.float32), np.asarray(weights, np.float64)
        if scores.ndim != 1 or scores.shape != weights.shape or not np.all(np.isfinite(scores)):
            raise ValueError(
                f"Finite scores (n,) and weights (n,) make a calibration. Received: {scores.shape}, {weights.shape}"
            )
        self.effective_size = float(_checked(weights).sum() ** 2 / (weights**2).sum())
        if self.effective_size < MINIMUM_SIZE:
            raise ValueError(
                f"The weights rest on fewer than {MINIMUM_SIZE} images: the held-out images are too unlike those to come for "
                "weights to mend it; calibrate with images of the new kind. "
                f"Received: {len(scores)} images that count as {self.effective_size:.1f}"
            )
        order = np.argsort(scores)
        self.scores = scores[order]
        self._above = np.append(np.cumsum(weights[order][::-1])[::-1], 0.0)  # weight of the i-th lowest score and above

    def p_values(self, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the float64 p-values `(N,)` of scores `(N,)` of images with weights `(N,)`; small means out-of-distribution.

        Raises:
            ValueError: Weights that are not positive and finite.
        """
        weights = _checked(np.asarray(weights, np.float64))
        at_least = self._above[np.searchsorted(self.scores, np.asarray(scores, np.float32), side="left")]
        return np.asarray((weights + at_least) / (weights + self._above[0]))


def _checked(weights: np.ndarray) -> np.ndarray:
    if wrong := int(np.sum(~(np.isfinite(weights) & (weights > 0)))):
        raise ValueError(f"Weights are positive and finite. Received: {wrong} of {weights.size} that are not")
    return weights
