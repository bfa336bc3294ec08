"""What a density over several statistics is fitted to."""

import numpy as np

from keras_ood.scores.score import Arrays

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


def fit_scaling(statistics: Arrays) -> dict[str, np.ndarray]:
    """Return what `scaled` takes: offsets of the logarithms, means and standard deviations."""
    given = [np.asarray(statistics[name], np.float64) for name in _names(statistics)]
    offset = np.array([max(0.01 * np.median(np.abs(values)), 1e-6) for values in given])
    features = _logarithms(statistics, offset)
    return {"offset": offset, "mean": features.mean(axis=0), "sd": np.maximum(features.std(axis=0), 1e-3)}


def scaled(statistics: Arrays, fitted: Arrays) -> np.ndarray:
    """Return `(N, features)` float64: logarithms of what cannot be negative, standardised."""
    return np.asarray((_logarithms(statistics, fitted["offset"]) - fitted["mean"]) / fitted["sd"])


def _logarithms(statistics: Arrays, offset: np.ndarray) -> np.ndarray:
    columns = []
    for name, least in zip(_names(statistics), offset, strict=True):
        values = np.asarray(statistics[name], np.float64)
        columns.append(values if name in _SIGNED else np.log(values + least))
    return np.stack(columns, axis=-1)


def _names(statistics: Arrays) -> list[str]:
    return [name for name in FEATURES if name in statistics]
