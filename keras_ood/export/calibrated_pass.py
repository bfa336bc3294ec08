"""A detector's pass, a score of it and its calibration as one Keras model."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ood.calibration.calibrated_scores import CalibratedScores
from keras_ood.images.preprocessing import interpolate
from keras_ood.scores import Fit, Score


class CalibratedPass(keras.Model):  # type: ignore[misc]
    """A detector's pass, a score of it, its calibration: from images and a false positive rate to decisions.

    `{"images": (batch, height, width, channels) uint8, "fpr": () float32}` to `{"score": (batch,) float32, "p_value": (batch,)
    float32, "flag": (batch,) bool}`; flagged is where the p-value is at most `fpr`.

    Where the detector's maps are calibrated there is `"heat_map"`, too, float32 `(batch, height, width)`.

    Args:
        detector: A `keras_ood.Detector`.
        score: A function of the detector's one pass.
        calibrated: What the detector keeps of its scores.
        with_maps: Whether there shall be heat maps, where maps are calibrated.

    Attributes:
        calibration: Against which scores are ranked; that of the detector, until it is replaced.

    Raises:
        NotCalibratedError: The detector keeps nothing of this score.
        ValueError: It was calibrated with stochastic passes.
    """

    def __init__(self, detector: Any, score: Score, calibrated: CalibratedScores, with_maps: bool = True) -> None:
        super().__init__(name="calibrated_pass")
        self.detector, self.score = detector, score
        self.calibration = calibrated.calibration(score.name)
        calibrated.passes(score.name, {"samples": None})  # refuses one of stochastic passes: this is the deterministic one
        fit = calibrated.fit_of(score)
        self.maps = calibrated.maps if with_maps and calibrated.has_maps else None
        self.fitted = Fit(fit.statistics, {name: np.asarray(array, np.float32) for name, array in fit.arrays.items()})
        self.built = True

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return scores, conformal p-values, flags and heat maps of uint8 images, at a false positive rate."""
        images = inputs["images"]
        found = self.score.formula(self.fitted.select(self.detector(images, training=False)), self.fitted.arrays, ops)
        p_values = self.calibration.p_values_of_tensors(found)
        decided = {"score": found, "p_value": p_values, "flag": p_values <= inputs["fpr"]}
        if self.maps is None:
            return decided
        standardised = self.maps.standardised(self.detector.position_scores(self.detector.entrance.closely(images)))
        fine = interpolate(standardised[..., None], self.detector.image_shape[:2])[..., 0]
        return decided | {"heat_map": self.maps.p_values_of_tensors(fine)}
