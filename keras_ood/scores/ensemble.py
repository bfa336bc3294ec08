"""Statistics combined by the p-value of each."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_ood.backend.quadrature import HALF_LINE, HALF_LINE_WEIGHTS
from keras_ood.scores.features import features_of, fit_scaling, scaled
from keras_ood.scores.score import Arrays, Score, Tensors


class PValueEnsemble(Score):
    """`-2 sum_j log p_j(x)`, Fisher's combination of the two-sided p-values of the statistics among in-distribution ones.

    `p_j = 2 Phi(-|s_j|)`, with `s_j` statistic `j` of `keras_ood.scores.features.FEATURES`, in logarithms and standardised: a
    normal law's p-value, smooth and without a least value, where ranks would stop at one in the number of images and jump at
    ties. The combination is only a score: the statistics depend on each other, so that Fisher's chi-squared law does not hold,
    and calibration gives the p-value. After Bergamin et al., "Model-agnostic Out-of-distribution Detection Using Combined
    Statistical Tests", AISTATS 2022, who take empirical p-values. Cost: one pass.
    """

    name = "ensemble"
    cost = "1 pass"
    needs = ("latent_norm",)
    fits = True

    def fitted_to(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the features among the statistics."""
        return features_of(names)

    def fit_arrays(self, statistics: Arrays) -> dict[str, np.ndarray]:
        """Return the scaling of each statistic."""
        return fit_scaling(statistics)

    def formula(self, statistics: Tensors, fitted: Arrays, xp: Any) -> Any:
        """Return the combination."""
        log_p_values = math.log(2) + _log_upper_tail(xp.abs(scaled(statistics, fitted, xp)), xp)
        return -2 * xp.sum(log_p_values, axis=-1)


def _log_upper_tail(sds: Any, xp: Any) -> Any:
    """`log Phi(-a)` of `a >= 0`, `(N, features)`, by `Phi(-a) = phi(a) * integral over t > 0 of exp(-a t - t^2 / 2)`.

    `t = c x` with `c = 2 / (a + sqrt(a^2 + 4))` gives the integrand one shape for every `a`: relative error below 1e-14 in
    float64, of the logarithm, and no underflow however far out.
    """
    unit = 2 / (sds + xp.sqrt(sds * sds + 4))
    exponent = -((sds * unit)[..., None] * HALF_LINE + (unit * unit)[..., None] * (HALF_LINE**2 / 2))
    integral = unit * xp.sum(xp.exp(exponent) * HALF_LINE_WEIGHTS, axis=-1)
    return xp.log(integral) - sds * sds / 2 - math.log(2 * math.pi) / 2
