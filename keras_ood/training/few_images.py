"""A detector of a few dozen images: cross-fitted, none lost to a split."""

import time
from typing import Any

import numpy as np

from keras_ood.backend.machine import describe_machine
from keras_ood.calibration import NOMINAL_FPR
from keras_ood.datasets.synthetic import SYNTHETIC
from keras_ood.encoders.frozen_encoder import FrozenEncoder
from keras_ood.encoders.mixture_space import MixtureSpace
from keras_ood.evaluation.evaluate import compare
from keras_ood.evaluation.report import Report
from keras_ood.images.embeddings import Embeddings
from keras_ood.images.groups import leave_out
from keras_ood.images.preprocessing import Preprocessing
from keras_ood.models.feature_mixture import FeatureMixture, choose_memory
from keras_ood.terminal.progress import begin

MINIMUM = 30  # images: a fit without a fifth of them still bears a threshold of 5 %
_GROUPS = 13  # least number: without a fifth of them there is still one for each of ten folds
_OUTER = 5  # folds that are left out as a whole, to count false alarms


class FewImages:
    """A `FeatureMixture` fitted, calibrated and measured on the same images, each by what has not seen it.

    The size of its memory is chosen by cross-validation on these images alone. For the false alarms a fifth of the images at a
    time is left out of everything but that choice.

    Args:
        encoder: The frozen encoder.
        preprocessing: Of the detector: its shape and rule.
        images: Embeddings of 30 or more different images.
        seed: Of folds and clusters.
        groups: Labels of those that belong together, `(N,)`; None where each stands alone.

    Attributes:
        detector: The detector.
        statistics: Those of each image, by the fit without it.
        densities: Mean held-out log-density by the size of the memory, nats.
        seconds: How long it took.

    Raises:
        ValueError: Too few images, or groups.
    """

    def __init__(
        self,
        encoder: FrozenEncoder,
        preprocessing: Preprocessing,
        images: Embeddings,
        seed: int = 0,
        groups: np.ndarray | None = None,
    ) -> None:
        if len(images) < MINIMUM:
            raise ValueError(f"A detector takes at least {MINIMUM} different images. Received: {len(images)}")
        groups = np.arange(len(images)) if groups is None else groups
        if (found := len(np.unique(groups))) < _GROUPS:
            raise ValueError(f"A detector of so few images takes at least {_GROUPS} groups of them. Received: {found}")
        start = time.monotonic()
        self._images, self._groups, self._seed = images, groups, seed
        self.detector = FeatureMixture(preprocessing.image_shape, encoder, aspect=preprocessing.aspect)
        self.densities = choose_memory(self.detector.spaces[0], images, self.detector.folds, seed, groups)
        self.memory = max(self.densities, key=lambda memory: self.densities[memory])
        begin("Fitting")
        self.detector = self._fresh()
        self.statistics = self.detector.cross_fit(images, seed, groups)
        self.seconds = round(time.monotonic() - start, 1)

    def _fresh(self) -> FeatureMixture:
        space, preprocessing = self.detector.spaces[0], self.detector.preprocessing
        chosen = MixtureSpace(space.encoder, space.stages, self.memory)
        return FeatureMixture(preprocessing.image_shape, chosen, aspect=preprocessing.aspect)

    def false_alarms(self) -> float:
        """Return the share of images flagged at the nominal rate by detectors that were fitted without them."""
        flagged, detector = [], self._fresh()  # one, compiled once
        for fold, (kept, out) in enumerate(leave_out(len(self._images), _OUTER, self._seed + 1, self._groups), start=1):
            begin(f"Counting false alarms, part {fold} of {_OUTER}")
            detector.cross_fit(self._images[kept], self._seed, self._groups[kept])
            flagged.append(detector.detect(self._images[out], NOMINAL_FPR, progress=False))
        return float(np.mean(np.concatenate(flagged)))

    def report(self, sets: dict[str, Embeddings], resamples: int) -> Report:
        """Return what `evaluate` would; the images, and the synthetic sets made from them, by the fits without them."""
        found = {name: self._measured(name, images) for name, images in sets.items()}
        methods = [name for name in ("nll", "knn", "mahalanobis") if name in self.detector.calibrated_scores()]
        return compare(self.detector, {"in_distribution": self.statistics} | found, methods, resamples=resamples)

    def _measured(self, name: str, images: Embeddings) -> dict[str, np.ndarray]:
        if name in SYNTHETIC:
            return self.detector.held_out(images)
        return self.detector.statistics(images, progress=False)

    def provenance(self) -> dict[str, Any]:
        """Return what `preset.json` says of choice and fit, JSON values."""
        densities = {str(memory): round(density, 2) for memory, density in self.densities.items()}
        return {
            "choice": {"memory": self.memory, "folds": self.detector.folds, "held_out_log_density": densities},
            "training": {"seconds": self.seconds, "machine": describe_machine()},
        }
