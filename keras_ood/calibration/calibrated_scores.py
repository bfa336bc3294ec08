"""What a detector keeps of held-out in-distribution images: the calibration and the fit of each of its scores."""

from collections.abc import Iterable, Mapping

import numpy as np

from keras_ood.calibration.conformal import Calibration
from keras_ood.scores import Fit, Score

_CALIBRATION, _FITTED, _FITTED_TO = "calibration", "fitted", "fitted_to"


class NotCalibratedError(RuntimeError):
    """A p-value, a threshold or a fitted score was asked of a detector that has not been calibrated for it."""


class CalibratedScores:
    """Calibrations and fits by the name of the score.

    A score that must be fitted is fitted to every other image, and calibrated with the rest: nothing meets its own p-value.

    Args:
        scores: Those to calibrate.
        statistics: `{name: (N,)}` of held-out in-distribution images, all that `scores` read.
    """

    def __init__(self, scores: Iterable[Score] = (), statistics: Mapping[str, np.ndarray] | None = None) -> None:
        self._calibrations: dict[str, Calibration] = {}
        self._fits: dict[str, Fit] = {}
        given = {name: np.asarray(values, np.float64) for name, values in (statistics or {}).items()}
        for score in scores:
            kept, fit = given, Fit()
            if score.fits:
                fit = self._fits[score.name] = score.fit({name: values[0::2] for name, values in given.items()})
                kept = {name: values[1::2] for name, values in given.items()}
            self._calibrations[score.name] = Calibration(score(kept, fit))

    def updated(self, other: "CalibratedScores") -> "CalibratedScores":
        """Return these with those of `other` in the place of the same scores."""
        return CalibratedScores.from_arrays(
            {name: array for name, array in self.arrays().items() if name.split(".")[1] not in other} | other.arrays()
        )

    def __contains__(self, name: str) -> bool:
        return name in self._calibrations

    def calibration(self, name: str) -> Calibration:
        """Return the calibration of a score.

        Raises:
            NotCalibratedError: There is none.
        """
        if name not in self._calibrations:
            raise NotCalibratedError(
                f"No calibration of score {name!r}: call `detector.calibrate(images)` with held-out in-distribution images "
                f"first. Calibrated: {sorted(self._calibrations) or 'none'}."
            )
        return self._calibrations[name]

    def fit_of(self, score: Score) -> Fit:
        """Return what a score keeps of in-distribution images; an empty `Fit` for one that is not fitted.

        Raises:
            NotCalibratedError: It must be fitted, and has not been.
        """
        if score.fits and score.name not in self._fits:
            raise NotCalibratedError(
                f"Score {score.name!r} is fitted to in-distribution images: call `detector.calibrate(images)` with held-out "
                "ones first."
            )
        return self._fits.get(score.name, Fit())

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all of it as arrays of numbers by name, for a file of weights."""
        arrays = {f"{_CALIBRATION}.{name}": calibration.scores for name, calibration in self._calibrations.items()}
        for name, fit in self._fits.items():
            arrays[f"{_FITTED_TO}.{name}"] = np.frombuffer("\n".join(fit.statistics).encode(), np.uint8)
            arrays |= {f"{_FITTED}.{name}.{key}": np.asarray(array) for key, array in fit.arrays.items()}
        return arrays

    @staticmethod
    def owns(name: str) -> bool:
        """Return whether an array of that name is one of `arrays`."""
        return name.startswith((f"{_CALIBRATION}.", f"{_FITTED}.", f"{_FITTED_TO}."))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "CalibratedScores":
        """Return what `arrays` gave.

        Raises:
            ValueError: A fit does not name its statistics, as before version 0.2.
        """
        kept = cls()
        fits: dict[str, dict[str, np.ndarray]] = {}
        names: dict[str, tuple[str, ...]] = {}
        for name, array in arrays.items():
            kind, score, *key = name.split(".")
            if kind == _CALIBRATION:
                kept._calibrations[score] = Calibration(array)
            elif kind == _FITTED_TO:
                names[score] = tuple(np.asarray(array, np.uint8).tobytes().decode().split("\n"))
            else:
                fits.setdefault(score, {})[key[0]] = array
        if set(names) != set(fits):
            raise ValueError(
                "The fit of a score names the statistics it belongs to: calibrate the detector again with this version. "
                f"Received: fits of {sorted(fits)}, names for {sorted(names)}"
            )
        kept._fits = {score: Fit(names[score], fit) for score, fit in fits.items()}
        return kept
