"""What a density over several statistics is fitted to."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_ood.scores.score import Arrays, Tensors

FEATURES = (
    "squared_error",
    "squared_error_2",
    "squared_error_4",
    "latent_norm",
    "posterior_scale_norm",
    "mahalanobis",
    "local_contrast",
    "local_contrast_2",
    "local_contrast_4",
    "brightness",
    "saturation",
    "log_det",
)
"""Statistics that say something of their own, of the model's view or of the image alone; `nll`, ... follow from them."""

_SIGNED = frozenset({"log_det"})


def features_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the `FEATURES` among the statistics at hand."""
    known = set(names)
    return tuple(name for name in FEATURES if name in known)


def fit_scaling(statistics: Arrays) -> dict[str, np.ndarray]:
    """Return what `scaled` takes: offsets of the logarithms, means and standard deviations, in the order of the statistics."""
    offset = np.array([max(0.01 * np.median(np.abs(values)), 1e-6) for values in statistics.values()])
    features = _logarithms(statistics, offset, np)
    return {"offset": offset, "mean": features.mean(axis=0), "sd": np.maximum(features.std(axis=0), 1e-3)}


def scaled(statistics: Tensors, fitted: Arrays, xp: Any) -> Any:
    """Return `(N, features)`: logarithms of what cannot be negative, standardised; computed by `xp`, see `Score.formula`."""
    return (_logarithms(statistics, fitted["offset"], xp) - fitted["mean"]) / fitted["sd"]


def _logarithms(statistics: Tensors, offset: np.ndarray, xp: Any) -> Any:
    columns = [
        values if name in _SIGNED else xp.log(values + least)
        for (name, values), least in zip(statistics.items(), offset, strict=True)
    ]
    return xp.stack(columns, axis=-1)
