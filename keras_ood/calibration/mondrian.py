"""A calibration for each of several known groups of images."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_ood.calibration.conformal import MINIMUM_SIZE, Calibration
from keras_ood.calibration.rule import Part


class MondrianCalibration:
    """Scores of held-out in-distribution images by group: class, camera, day. Each holds its own false positive rate.

    One calibration for all holds a rate on average: of a group that scores higher than others far more images may be flagged.
    Here an image is ranked among those of its group. The group of a new image must be known, and its images drawn as those of
    the group were.

    Args:
        scores: `(n,)` finite numbers.
        groups: `(n,)` labels.

    Raises:
        ValueError: A group of fewer than 20 images.

    Source: Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005, section 4.5 (Mondrian predictors).
    """

    def __init__(self, scores: np.ndarray, groups: Sequence[Any] | np.ndarray) -> None:
        scores, labels = np.asarray(scores), np.asarray(groups).astype(str)
        if labels.shape != scores.shape:
            raise ValueError(f"Each score has a group. Received: {scores.shape} scores, {labels.shape} groups")
        names, sizes = np.unique(labels, return_counts=True)
        if few := {str(name): int(size) for name, size in zip(names, sizes, strict=True) if size < MINIMUM_SIZE}:
            raise ValueError(
                f"Every group takes at least {MINIMUM_SIZE} different images, twice as many for a score that is fitted. "
                f"Received: {few}"
            )
        self._calibrations = {str(name): Calibration(scores[labels == name]) for name in names}

    @property
    def groups(self) -> dict[str, int]:
        """Number of images by group."""
        return {name: len(calibration) for name, calibration in self._calibrations.items()}

    def of(self, group: Any) -> Calibration:
        """Return the calibration of a group.

        Raises:
            ValueError: There is no such group.
        """
        if str(group) not in self._calibrations:
            raise ValueError(
                f"A group without held-out images has no calibration; those that have: {list(self._calibrations)}; without "
                f"`groups` an image is ranked among all. Received: {str(group)!r}"
            )
        return self._calibrations[str(group)]

    def parts(self, groups: Sequence[Any] | np.ndarray) -> list[Part]:
        """Return which of some images are ranked in which calibration, for `Rule.flags`."""
        labels = np.asarray(groups).astype(str)
        return [(labels == name, self.of(name)) for name in np.unique(labels)]

    def p_values(self, scores: np.ndarray, groups: Sequence[Any] | np.ndarray) -> np.ndarray:
        """Return the float64 p-values `(N,)` of scores `(N,)` within their groups `(N,)`; small means out-of-distribution.

        Raises:
            ValueError: A group that is not known.
        """
        scores = np.asarray(scores)
        p_values = np.empty(scores.shape)
        for index, calibration in self.parts(groups):
            p_values[index] = calibration.p_values(scores[index])
        return p_values

    def arrays(self) -> dict[str, np.ndarray]:
        """Return it as arrays of numbers."""
        calibrations = self._calibrations.values()
        return {
            "scores": np.concatenate([calibration.scores for calibration in calibrations]),
            "sizes": np.array([len(calibration) for calibration in calibrations], np.int64),
            "groups": np.frombuffer(json.dumps(list(self._calibrations)).encode(), np.uint8),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "MondrianCalibration":
        """Return what `arrays` gave."""
        names = json.loads(np.asarray(arrays["groups"], np.uint8).tobytes())
        return cls(arrays["scores"], np.repeat(names, arrays["sizes"]))
