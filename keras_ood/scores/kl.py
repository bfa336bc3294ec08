"""KL divergence of the posterior to the prior."""

from collections.abc import Mapping

import numpy as np

from keras_ood.scores.score import Score


class KL(Score):
    """`KL(q(z|x) || p(z))` in nats; for the tilted VAE it grows with the distance of `loc(x)` to the shell of the prior.

    Cost: one pass.
    """

    name = "kl"
    needs = ("kl",)

    def __call__(self, statistics: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return `kl`."""
        return statistics["kl"]
