"""Statistics combined by the p-value of each."""

import numpy as np
from scipy.special import log_ndtr

from keras_ood.scores.features import fit_scaling, scaled
from keras_ood.scores.score import Arrays, Score


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

    def fit(self, statistics: Arrays) -> dict[str, np.ndarray]:
        """Return the scaling of each statistic."""
        return fit_scaling(statistics)

    def __call__(self, statistics: Arrays, fitted: Arrays) -> np.ndarray:
        """Return the combination."""
        log_p_values = np.log(2) + log_ndtr(-np.abs(scaled(statistics, fitted)))
        return np.asarray(-2 * log_p_values.sum(axis=-1))
