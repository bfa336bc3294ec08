"""One block of a flow over feature maps."""

from typing import Any

import numpy as np

from keras_ood import bijectors
from keras_ood.networks.flow.dense_block import DenseBlock


class MapBlock(DenseBlock):
    """A fixed permutation of the features, a `DenseBlock`'s two couplings given 3x3 positions, and the permutation undone.

    An untrained block is the identity, so that a flow of them starts at its base distribution, which is no longer the same
    for all features.

    Args:
        features: Number of features at a position, at least 2.
        seed: Seed of the permutation.
    """

    def __init__(self, features: int, seed: int, **kwargs: Any) -> None:
        super().__init__(features, seed, hidden=16, kernel=3, **kwargs)

    def bijector(self, attention: Any) -> Any:
        """Return the block at an attention, a `keras_ood.bijectors.Chain`."""
        permuted = np.argsort(self.permutation).tolist()
        return bijectors.Chain([bijectors.ChannelPermutation(permuted), *super().bijector(attention).bijectors])
