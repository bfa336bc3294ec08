"""A density over several statistics."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_ood.scores.features import features_of, fit_scaling, scaled
from keras_ood.scores.score import Arrays, Score, Tensors

COMPONENTS = (1, 2, 4, 8)
_IMAGES_EACH = 40  # held-out images at least for each component


class DensityOfStates(Score):
    """`-log p(s(x))`, with `s(x)` the image's statistics and `p` a Gaussian mixture fitted to in-distribution ones; no unit.

    An image is suspicious when the model's statistics of it are unusual together: a low error is so for a rich image, a high
    one for a smooth image. The statistics are `keras_ood.scores.features.FEATURES` as far as the detector has them: errors and
    contrasts at three scales, norms of the latent, brightness and saturation, the log-determinant of a flow; in logarithms
    (contrasts, brightness and saturation are the image's alone: they count for untrained networks too). The
    number of components is the one of 1, 2, 4, 8 with the least BIC. After Morningstar et al., "Density of States Estimation
    for Out-of-Distribution Detection", AISTATS 2021, who take a kernel density or a one-class SVM over other statistics. The
    mixture is scikit-learn's. Cost: one pass.
    """

    name = "density_of_states"
    cost = "1 pass"
    needs = ("latent_norm",)
    fits = True

    def fitted_to(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the features among the statistics."""
        return features_of(names)

    def fit_arrays(self, statistics: Arrays) -> dict[str, np.ndarray]:
        """Return the scaling, and the mixture's weights, means and precisions."""
        from sklearn.mixture import GaussianMixture

        scaling = fit_scaling(statistics)
        features = scaled(statistics, scaling, np)
        counts = [count for count in COMPONENTS if count == 1 or count * _IMAGES_EACH <= len(features)]
        mixtures = [GaussianMixture(count, reg_covar=1e-3, max_iter=1000, random_state=0).fit(features) for count in counts]
        best = min(mixtures, key=lambda mixture: mixture.bic(features))
        return scaling | {
            "weights": best.weights_,
            "means": best.means_,
            "precisions_cholesky": best.precisions_cholesky_,
        }

    def formula(self, statistics: Tensors, fitted: Arrays, xp: Any) -> Any:
        """Return the negative log-density.

        With `w_k`, `m_k` and `C_k` a component's weight, mean and Cholesky factor of its precision, and `s` in `d` dimensions:

            log p(s) = log sum_k exp(log w_k + log |C_k| - |(s - m_k) C_k|^2 / 2) - d log(2 pi) / 2
        """
        factors = fitted["precisions_cholesky"]
        features = scaled(statistics, fitted, xp)
        whitened = xp.matmul(features[:, None, None, :] - fitted["means"][:, None, :], factors)  # (N, components, 1, features)
        log_dets = np.sum(np.log(np.diagonal(factors, axis1=1, axis2=2)), axis=-1)
        log_densities = np.log(fitted["weights"]) + log_dets - xp.sum(xp.square(whitened), axis=(2, 3)) / 2
        largest = xp.max(log_densities, axis=-1, keepdims=True)
        log_sum = largest[:, 0] + xp.log(xp.sum(xp.exp(log_densities - largest), axis=-1))
        return factors.shape[-1] * math.log(2 * math.pi) / 2 - log_sum
