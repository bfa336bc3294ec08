"""Reconstruction error."""

from collections.abc import Mapping

import numpy as np

from keras_ood.scores.score import Score


class Reconstruction(Score):
    """`-log p(x|z)` in nats at the posterior's `z`: for a Gaussian likelihood the squared error, scaled and shifted.

    Cost: one pass.
    """

    name = "reconstruction"
    needs = ("reconstruction",)

    def __call__(self, statistics: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return `reconstruction`."""
        return statistics["reconstruction"]
