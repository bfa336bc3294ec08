"""One block of the published InFlow."""

from typing import Any

import keras
import numpy as np

from keras_ood import bijectors
from keras_ood.networks.flow.coupling_network import CouplingNetwork

HIDDEN = 256  # filters of a coupling's networks


class PaperBlock(keras.layers.Layer):  # type: ignore[misc]
    """Two couplings of RGB channels, 1 given 2 and 2 given 1, then a fixed permutation; no act-norm, no squeeze.

    Four networks of 3x3-256-3x3 convolutions, each with three channels of attention: 56,326 parameters.

    Args:
        seed: Seed of the permutation.

    Source: Kumar et al., arXiv 2106.12894; the last convolutions start at zero, which is ours.
    """

    def __init__(self, seed: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = CouplingNetwork(2, 1, (HIDDEN,), (3, 3), attention_channels=3, separate=True, name="first")
        self.second = CouplingNetwork(1, 2, (HIDDEN,), (3, 3), attention_channels=3, separate=True, name="second")
        self.permutation = np.random.default_rng(seed).permutation(3).tolist()
        self.built = True

    def bijector(self, attention: Any) -> Any:
        """Return the block at an attention, a `keras_ood.bijectors.Chain`."""
        return bijectors.Chain(
            [
                bijectors.AttentionCoupling(self.first, -2, attention),
                bijectors.AttentionCoupling(self.second, 1, attention),
                bijectors.ChannelPermutation(self.permutation),
            ]
        )

    def initialize(self, images: Any) -> None:
        """Nothing starts from data."""
