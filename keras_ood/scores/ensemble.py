"""Statistics combined by the p-value of each."""

import numpy as np

from keras_ood.scores.features import FEATURES
from keras_ood.scores.score import Arrays, Score

QUANTILES = 1001  # kept of each statistic


class PValueEnsemble(Score):
    """`-2 sum_j log p_j(x)`, Fisher's combination of the two-sided p-values of the statistics among in-distribution ones.

    `p_j = 2 min(r, 1 - r)`, at least 1 / 1001, with `r` the rank of statistic `j` of `keras_ood.scores.features.FEATURES`. The
    combination is only a score: the statistics depend on each other, so that Fisher's chi-squared law does not hold, and
    calibration gives the p-value. After Bergamin et al., "Model-agnostic Out-of-distribution Detection Using Combined
    Statistical Tests", AISTATS 2022. Cost: one pass.
    """

    name = "ensemble"
    cost = "1 pass"
    needs = ("latent_norm",)
    fits = True

    def fit(self, statistics: Arrays) -> dict[str, np.ndarray]:
        """Return 1,001 quantiles of each statistic."""
        grid = np.linspace(0, 1, QUANTILES)
        return {"quantiles": np.stack([np.quantile(values, grid) for values in _given(statistics)]).astype(np.float32)}

    def __call__(self, statistics: Arrays, fitted: Arrays) -> np.ndarray:
        """Return the combination."""
        total = np.zeros(len(statistics["latent_norm"]))
        for values, quantiles in zip(_given(statistics), fitted["quantiles"], strict=True):
            rank = np.interp(values, quantiles, np.linspace(0, 1, QUANTILES))
            total -= 2 * np.log(np.maximum(2 * np.minimum(rank, 1 - rank), 1 / QUANTILES))
        return total


def _given(statistics: Arrays) -> list[np.ndarray]:
    return [np.asarray(statistics[name]) for name in FEATURES if name in statistics]
