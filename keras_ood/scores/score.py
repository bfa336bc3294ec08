"""What every score has in common."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from keras_ood.scores.fit import Fit

Arrays = Mapping[str, np.ndarray]
Tensors = Mapping[str, Any]
"""NumPy arrays, or tensors of the active backend, by name."""

_UNFITTED = Fit()


class Score:
    """A number an image gets from a detector's statistics; higher means more out-of-distribution.

    A score reads statistics of the detector's one cheap pass (`needs`), may measure more of its own (`measure`), may be fitted
    to statistics of held-out in-distribution images (`fit`), and then is a function of both (`formula`), written once for
    NumPy arrays and for the tensors of a graph.

    Attributes:
        name: What callers write as `method`.
        cost: For one image, as tables print it.
        needs: Names of the statistics of the cheap pass that it reads. Unless it says otherwise, a score is the first of them.
        measures: Names of the statistics that it measures itself, or of one of them; a score without any can be exported.
        calls: Names of the detector's methods and attributes that `measure` uses.
        cheap: Whether it costs no more than a further pass through a network. Cheap scores are calibrated unasked.
        fits: Whether it must be fitted before use.
        transductive: Whether an image's score depends on the other images of its batch: it has no p-value.
    """

    name: str
    cost: str
    needs: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    cheap: bool = True
    fits: bool = False
    transductive: bool = False

    def serves(self, detector: Any) -> bool:
        """Return whether `detector` has all that the score takes."""
        return all(hasattr(detector, name) for name in self.calls) and set(self.needs) <= set(detector.statistic_names())

    def measure(self, detector: Any, images: np.ndarray, samples: int | None = None, seed: int = 0) -> dict[str, np.ndarray]:
        """Return further statistics, `(batch,)` each, of preprocessed images; here none.

        Args:
            detector: The `keras_ood.Detector` whose statistics they are.
            images: `(batch, *image_shape)`.
            samples: As asked of `Detector.statistics`: what another model says is averaged over as many stochastic passes.
            seed: Seed of the passes, and of noise that the score draws itself.
        """
        return {}

    def fitted_to(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return those of the statistics at hand that a fit takes, in the order in which it takes them; here `needs`."""
        return self.needs

    def fit(self, statistics: Arrays) -> Fit:
        """Return what the score keeps of held-out in-distribution images; an empty `Fit` for one that is not fitted.

        Args:
            statistics: `{name: (N,)}`, all that are at hand.
        """
        if not self.fits:
            return Fit()
        names = self.fitted_to(statistics)
        return Fit(names, self.fit_arrays({name: statistics[name] for name in names}))

    def fit_arrays(self, statistics: Arrays) -> dict[str, np.ndarray]:
        """Return what `formula` keeps of the statistics that `fitted_to` names, float64; for a score that `fits`."""
        raise NotImplementedError(f"{type(self).__name__} is not fitted")

    def __call__(self, statistics: Arrays, fit: Fit = _UNFITTED) -> np.ndarray:
        """Return `(N,)` scores of `(N,)` statistics, computed in float64.

        Raises:
            ValueError: A statistic that the score was fitted to is missing.
        """
        exact = {name: np.asarray(values, np.float64) for name, values in fit.select(statistics).items()}
        return np.asarray(self.formula(exact, fit.arrays, np))

    def formula(self, statistics: Tensors, fitted: Arrays, xp: Any) -> Any:
        """Return `(N,)` scores of `(N,)` statistics, in their precision.

        Args:
            statistics: Statistics of the kind that `xp` takes; of a fitted score those that it was fitted to, in their order.
            fitted: What `fit_arrays` returned, in the precision of the statistics.
            xp: The array module that computes, `numpy` or `keras.ops`.
        """
        return statistics[self.needs[0]]
