"""What a detector keeps of held-out in-distribution images: calibration and fit of each of its scores, and of its maps."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from keras_ood.calibration.conformal import Calibration
from keras_ood.calibration.map_calibration import MapCalibration
from keras_ood.calibration.mondrian import MondrianCalibration
from keras_ood.calibration.not_calibrated_error import NotCalibratedError
from keras_ood.scores import Fit, Score

_CALIBRATION, _FITTED, _FITTED_TO, _MAPS, _PASSES = "calibration", "fitted", "fitted_to", "maps", "passes"
_MONDRIAN = "mondrian"
_WEIGHTS = "weights_sha256"

Kept = TypeVar("Kept")


class Passes(NamedTuple):
    """The options of `Detector.statistics` that a score depends on.

    Attributes:
        samples: Number of stochastic passes, None for the deterministic one.
        seed: Their seed.
    """

    samples: int | None = None
    seed: int = 0

    def asked(self, options: Mapping[str, Any]) -> "Passes":
        """Return these with what `options` of a caller say otherwise."""
        return self._replace(**{key: options[key] for key in self._fields if key in options})


def weights_digest(weights: Iterable[np.ndarray]) -> bytes:
    """Return the SHA-256 of weights in their order."""
    digest = hashlib.sha256()
    for array in weights:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


class CalibratedScores:
    """Calibrations and fits by the name of the score, of a detector with certain weights.

    A score that must be fitted is fitted to every other image, and calibrated with the rest: nothing meets its own p-value.

    Args:
        scores: Those to calibrate.
        statistics: `{name: (N,)}` of held-out in-distribution images, all that `scores` read.
        weights: The detector's `weights_digest`.
        passes: How the statistics were measured.
        maps: Calibration of the maps; None for none.
        groups: Labels `(N,)` of the images, each group of which is calibrated for itself, too; None for none.

    Attributes:
        weights: As above; None where nothing is calibrated.
        outlived: Whether weights changed after a calibration, which is gone for that reason.
    """

    def __init__(
        self,
        scores: Iterable[Score] = (),
        statistics: Mapping[str, np.ndarray] | None = None,
        weights: bytes | None = None,
        passes: Passes = Passes(),  # noqa: B008
        maps: MapCalibration | None = None,
        groups: np.ndarray | None = None,
    ) -> None:
        self.weights, self.outlived = weights, False
        self._maps = maps
        self._calibrations: dict[str, Calibration] = {}
        self._mondrian: dict[str, MondrianCalibration] = {}
        self._fits: dict[str, Fit] = {}
        self._passes: dict[str, Passes] = {}
        given = {name: np.asarray(values, np.float64) for name, values in (statistics or {}).items()}
        for score in scores:
            kept, fit, labels = given, Fit(), groups
            if score.fits:
                fit = self._fits[score.name] = score.fit({name: values[0::2] for name, values in given.items()})
                kept = {name: values[1::2] for name, values in given.items()}
                labels = None if groups is None else groups[1::2]
            values = score(kept, fit)
            self._calibrations[score.name] = Calibration(values)
            if labels is not None:
                self._mondrian[score.name] = MondrianCalibration(values, labels)
            if passes != Passes():
                self._passes[score.name] = passes

    def for_weights(self, weights: bytes) -> "CalibratedScores":
        """Return these where they belong to weights of that digest, else none."""
        if self.weights in (None, weights):
            return self
        none = CalibratedScores()
        none.outlived = True
        return none

    def updated(self, other: "CalibratedScores") -> "CalibratedScores":
        """Return these, of the same weights, with what `other` has in the place of the same."""
        both = CalibratedScores(weights=other.weights, maps=other._maps or self._maps)
        both._calibrations = self._calibrations | other._calibrations
        both._mondrian = other._in_place_of(self._mondrian) | other._mondrian
        both._fits = other._in_place_of(self._fits) | other._fits
        both._passes = other._in_place_of(self._passes) | other._passes
        return both

    def _in_place_of(self, kept: Mapping[str, Kept]) -> dict[str, Kept]:
        """What is kept of scores that are not calibrated here."""
        return {name: value for name, value in kept.items() if name not in self}

    def __contains__(self, name: str) -> bool:
        return name in self._calibrations

    def calibration(self, name: str) -> Calibration:
        """Return the calibration of a score.

        Raises:
            NotCalibratedError: There is none.
        """
        if name not in self._calibrations:
            raise NotCalibratedError(
                f"No calibration of score {name!r}: {self._ask()}. Calibrated: {sorted(self._calibrations) or 'none'}."
            )
        return self._calibrations[name]

    def mondrian(self, name: str) -> MondrianCalibration:
        """Return the calibration of a score by group.

        Raises:
            NotCalibratedError: There is none.
        """
        if name not in self._mondrian:
            self.calibration(name)
            raise NotCalibratedError(
                f"Score {name!r} is not calibrated by group: call `detector.calibrate(images, groups=labels)` with held-out "
                f"in-distribution images first. By group: {sorted(self._mondrian) or 'none'}."
            )
        return self._mondrian[name]

    @property
    def has_maps(self) -> bool:
        """Whether there is a calibration of maps."""
        return self._maps is not None

    @property
    def maps(self) -> MapCalibration:
        """The calibration of maps.

        Raises:
            NotCalibratedError: There is none.
        """
        if self._maps is None:
            raise NotCalibratedError(f"No calibration of maps: {self._ask('calibrate_maps')}.")
        return self._maps

    def passes(self, name: str, options: Mapping[str, Any]) -> Passes:
        """Return how the scores behind a calibration were measured, and p-values are.

        Args:
            name: Name of the score.
            options: What a caller asks for, which may not differ: `samples`, `seed`.

        Raises:
            ValueError: It differs.
        """
        made = self._passes.get(name, Passes())
        asked = made.asked(options)
        if asked != made:
            raise ValueError(
                f"Score {name!r} was calibrated with {made._asdict()}, and is only comparable with scores of the same; "
                f"`detector.calibrate(images, samples=...)` makes another calibration. Received: {asked._asdict()}"
            )
        return made

    def _ask(self, method: str = "calibrate") -> str:
        """What must be done, and why."""
        why = "the weights have changed since the last, " if self.outlived else ""
        return f"{why}call `detector.{method}(images)` with held-out in-distribution images first"

    def fit_of(self, score: Score) -> Fit:
        """Return what a score keeps of in-distribution images; an empty `Fit` for one that is not fitted.

        Raises:
            NotCalibratedError: It must be fitted, and has not been.
        """
        if score.fits and score.name not in self._fits:
            raise NotCalibratedError(f"Score {score.name!r} is fitted to in-distribution images: {self._ask()}.")
        return self._fits.get(score.name, Fit())

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all of it as arrays of numbers by name, for a file of weights."""
        arrays = {f"{_CALIBRATION}.{name}": calibration.scores for name, calibration in self._calibrations.items()}
        if self.weights is not None:
            arrays[_WEIGHTS] = np.frombuffer(self.weights, np.uint8)
        for name, passes in self._passes.items():
            arrays[f"{_PASSES}.{name}"] = np.array([passes.samples or 0, passes.seed], np.int64)
        for name, mondrian in self._mondrian.items():
            arrays |= {f"{_MONDRIAN}.{name}.{key}": array for key, array in mondrian.arrays().items()}
        for name, fit in self._fits.items():
            arrays[f"{_FITTED_TO}.{name}"] = np.frombuffer("\n".join(fit.statistics).encode(), np.uint8)
            arrays |= {f"{_FITTED}.{name}.{key}": np.asarray(array) for key, array in fit.arrays.items()}
        if self._maps is not None:
            arrays |= {f"{_MAPS}.{name}": array for name, array in self._maps.arrays().items()}
        return arrays

    @staticmethod
    def owns(name: str) -> bool:
        """Return whether an array of that name is one of `arrays`."""
        kinds = (_CALIBRATION, _FITTED, _FITTED_TO, _MAPS, _MONDRIAN, _PASSES)
        return name == _WEIGHTS or name.startswith(tuple(f"{kind}." for kind in kinds))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "CalibratedScores":
        """Return what `arrays` gave.

        Raises:
            ValueError: A fit does not name its statistics, or nothing names the weights, as before version 0.2.
        """
        weights = arrays.get(_WEIGHTS)
        maps = {name.removeprefix(f"{_MAPS}."): array for name, array in arrays.items() if name.startswith(f"{_MAPS}.")}
        kept = cls(
            weights=None if weights is None else np.asarray(weights, np.uint8).tobytes(),
            maps=MapCalibration.from_arrays(maps) if maps else None,
        )
        fits: dict[str, dict[str, np.ndarray]] = {}
        mondrian: dict[str, dict[str, np.ndarray]] = {}
        names: dict[str, tuple[str, ...]] = {}
        for name, array in arrays.items():
            kind, _, rest = name.partition(".")
            score, *key = rest.split(".")
            if kind in (_WEIGHTS, _MAPS):
                continue
            if kind == _CALIBRATION:
                kept._calibrations[score] = Calibration(array)
            elif kind == _PASSES:
                kept._passes[score] = Passes(int(array[0]) or None, int(array[1]))
            elif kind == _FITTED_TO:
                names[score] = tuple(np.asarray(array, np.uint8).tobytes().decode().split("\n"))
            else:
                (mondrian if kind == _MONDRIAN else fits).setdefault(score, {})[key[0]] = array
        if set(names) != set(fits) or ((kept._calibrations or maps) and kept.weights is None):
            raise ValueError(
                "A calibration names its weights, and the fit of a score its statistics: calibrate the detector again with "
                f"this version. Received: fits of {sorted(fits)}, names for {sorted(names)}, {_WEIGHTS}: {weights}"
            )
        kept._mondrian = {score: MondrianCalibration.from_arrays(given) for score, given in mondrian.items()}
        kept._fits = {score: Fit(names[score], fit) for score, fit in fits.items()}
        return kept
