"""P-values of a detector whose images are in-distribution, but no longer drawn as the held-out ones were."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_ood.calibration.density_ratio import DensityRatio
from keras_ood.calibration.rule import Rule
from keras_ood.calibration.weighted import WeightedCalibration
from keras_ood.images.sources import gather
from keras_ood.models.detector import Detector

Weights = Callable[[np.ndarray], np.ndarray]


class CovariateShift:
    """A detector's p-values under covariate shift: the same kinds of images as were held out, in other proportions.

    Where some kinds come more often than among the held-out images, more night than day, more of one class, false positives
    follow them. Here held-out images are weighted until they look like those to come. It does not apply to kinds that were not
    held out at all; images like these are out-of-distribution, and `calibrate` makes them in-distribution.

    What it is blind to: the farther an image lies on the side to which the images have shifted, the larger its own weight is,
    and an image whose weight is large beside those of all held-out images together has no small p-value, however odd its score.
    An estimated weight is at most the largest of the images that it was estimated from.

    Args:
        detector: Any detector. Its own calibration is not used.
        images: Held-out in-distribution images, any accepted source that can be held in memory.
        target: In-distribution images as they come now, without the labels that nobody has: the weights are estimated from the
            detector's features, with every other of `images`; the rest calibrates. An out-of-distribution image among them is
            taken for one to be expected.
        weights: In place of `target`, known weights: a function from images, float32 `(N, *image_shape)` in 0..1, to `(N,)`
            positive numbers proportional to how much more often such an image comes now.
        method: As in `Detector.score`.

    Attributes:
        effective_size: As how many images the weighted ones count (Kish).
        auroc: How well `target` is told from `images`, see `DensityRatio`; None for known weights.

    Raises:
        ValueError: Both or neither of `target` and `weights`; a detector without features; too few images; images too unlike.

    Source: see `WeightedCalibration`.
    """

    def __init__(
        self, detector: Detector, images: Any, target: Any = None, weights: Weights | None = None, method: str | None = None
    ) -> None:
        if (target is None) == (weights is None):
            given = "neither" if target is None else "both"
            raise ValueError(f"Weights are estimated from `target` or given as `weights`. Received: {given}")
        self.detector, self.method = detector, method
        held_out = self._prepared(images)
        self.auroc: float | None = None
        if weights is None:
            ratio = DensityRatio(self._features(held_out[0::2]), self._features(self._prepared(target)))
            self.auroc, held_out = ratio.auroc, held_out[1::2]
            self._weights: Weights = lambda seen: ratio(self._features(seen))
        else:
            self._weights = weights
        self._calibration = WeightedCalibration(self._score(held_out), self._weights(held_out))
        self.effective_size = self._calibration.effective_size

    def p_values(self, images: Any) -> np.ndarray:
        """Return `(N,)` weighted conformal p-values of images, any accepted source; small = out-of-distribution."""
        prepared = self._prepared(images)
        return self._calibration.p_values(self._score(prepared), self._weights(prepared))

    def detect(self, images: Any, fpr: float | None = None) -> np.ndarray:
        """Return `(N,)` bool, True = out-of-distribution, with the false positive rate held.

        There is no false discovery rate: weighted p-values depend on each other in a way for which nobody has shown that
        Benjamini and Hochberg's procedure holds it.

        Args:
            images: Any accepted source.
            fpr: False positive rate, 5 % if not given.

        Raises:
            ValueError: A rate below `1 / (n + 1)` of `n` held-out images.
        """
        rate, least = Rule(fpr).rate, 1 / (len(self._calibration.scores) + 1)
        if rate < least:
            raise ValueError(f"With so many held-out images `fpr` is {least:.3g} at least. Received: {rate}")
        return self.p_values(images) <= rate

    def _prepared(self, images: Any) -> np.ndarray:
        return gather(images, self.detector.preprocessing)

    def _score(self, prepared: np.ndarray) -> np.ndarray:
        return self.detector.score(prepared, self.method, progress=False)

    def _features(self, prepared: np.ndarray) -> np.ndarray:
        features = self.detector.features(prepared)
        if features is None:
            raise ValueError(
                f"Weights are estimated from features, which this {type(self.detector).__name__} has none of: give `weights`. "
                "Received: `target` alone"
            )
        return features
