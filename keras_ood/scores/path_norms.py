"""Norms along the way of an image through a VAE."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_ood.scores.score import Arrays, Score, Tensors

_NORMS = ("squared_error", "latent_norm", "posterior_scale_norm")


class PathNorms(Score):
    """The Mahalanobis distance of `(|x - f(z)|, |loc(x)|, |scale(x)|)` from in-distribution images; no unit.

    The norms are enough to tell where an image leaves the way of in-distribution images from encoder to decoder. A tilted VAE's
    posterior has no scale of its own: two norms remain. After LPath (anonymous, "Rethinking Test-time Likelihood: The
    Likelihood Path Principle and Its Application to OOD Detection"), its variant LPath-1M-MD. The covariance is scikit-learn's.
    Cost: one pass.
    """

    name = "path_norms"
    cost = "1 pass"
    needs = ("squared_error", "latent_norm")
    fits = True

    def fitted_to(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the norms among the statistics."""
        known = set(names)
        return tuple(name for name in _NORMS if name in known)

    def fit_arrays(self, statistics: Arrays) -> dict[str, np.ndarray]:
        """Return mean and inverse covariance of the norms."""
        from sklearn.covariance import EmpiricalCovariance

        estimate = EmpiricalCovariance().fit(_norms(statistics, np))
        return {"location": estimate.location_, "precision": estimate.precision_}

    def formula(self, statistics: Tensors, fitted: Arrays, xp: Any) -> Any:
        """Return the distance."""
        difference = _norms(statistics, xp) - fitted["location"]
        squared = xp.sum(xp.matmul(difference, fitted["precision"]) * difference, axis=-1)
        return xp.sqrt(xp.maximum(squared, 0.0))


def _norms(statistics: Tensors, xp: Any) -> Any:
    return xp.stack([xp.sqrt(values) if name == "squared_error" else values for name, values in statistics.items()], axis=-1)
