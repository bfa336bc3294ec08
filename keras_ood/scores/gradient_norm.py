"""How much an image would change the weights."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from keras_ood.backend.compiled import weight_gradient_norms
from keras_ood.scores.score import Arrays, Score, Tensors

_PREFIX = "gradient_norm_"


class GradientNorm(Score):
    """`sum_l ((log |g_l|^2 - m_l) / s_l)^2`, with `g_l` the gradient of the image's nll in weight array `l`; no unit.

    `m_l` and `s_l` are mean and standard deviation of the logarithm over in-distribution images: minus twice the log-density of
    independent Gaussians. The squared norms approximate the score's Fisher norm, array by array. After Dauncey, Holmes,
    Williams, Falck, "Approximations to the Fisher Information Metric of Deep Generative Models for Out-Of-Distribution
    Detection", TMLR 2024. Cost: one pass forward and backward for each image on its own, vectorised on JAX.
    """

    name = "gradient_norm"
    cost = "2 passes, both ways"
    needs = ("nll",)
    measures = ("gradient_norm_00",)
    cheap = False
    fits = True

    def fitted_to(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the squared norms of all weight arrays."""
        return tuple(sorted(name for name in names if name.startswith(_PREFIX)))

    def measure(self, detector: Any, images: np.ndarray, samples: int | None = None, seed: int = 0) -> dict[str, np.ndarray]:
        """Return `gradient_norm_00`, `gradient_norm_01`, ...: squared norms, one for each trainable weight array."""
        build = partial(weight_gradient_norms, lambda image: detector(image)["nll"], detector)
        norms = detector.statistics_pass.compiled_function("weight_gradient_norms", build)(images)
        return {f"{_PREFIX}{index:02d}": norms[:, index].astype(np.float32) for index in range(norms.shape[1])}

    def fit_arrays(self, statistics: Arrays) -> dict[str, np.ndarray]:
        """Return mean and standard deviation of the logarithms."""
        logarithms = _logarithms(statistics, np)
        return {"mean": logarithms.mean(axis=0), "sd": np.maximum(logarithms.std(axis=0), 1e-3)}

    def formula(self, statistics: Tensors, fitted: Arrays, xp: Any) -> Any:
        """Return the sum."""
        return xp.sum(((_logarithms(statistics, xp) - fitted["mean"]) / fitted["sd"]) ** 2, axis=-1)


def _logarithms(statistics: Tensors, xp: Any) -> Any:
    return xp.log(xp.stack(list(statistics.values()), axis=-1) + 1e-12)
