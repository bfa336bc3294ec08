"""One block of a flow over features."""

from typing import Any

import keras
import numpy as np

from keras_ood import bijectors
from keras_ood.networks.flow.coupling_network import CouplingNetwork


class DenseBlock(keras.layers.Layer):  # type: ignore[misc]
    """Two couplings of the halves of a vector, each given the other one, then a fixed permutation; the vector is one pixel.

    Args:
        features: Length of the vector, at least 2.
        seed: Seed of the permutation.
        hidden: Units of a coupling's network.
        kernel: Side of the neighbourhood that a coupling is given, of maps of vectors.

    Source: Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", arXiv 1605.08803.
    """

    def __init__(self, features: int, seed: int, hidden: int = 64, kernel: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        half = features // 2
        settings: dict[str, Any] = {"filters": (hidden,), "kernels": (kernel, 1), "attention_channels": 1, "separate": False}
        self.first = CouplingNetwork(half, features - half, name="first", **settings)
        self.second = CouplingNetwork(features - half, half, name="second", **settings)
        self.permutation = np.random.default_rng(seed).permutation(features).tolist()
        self._half = half
        self.built = True

    def bijector(self, attention: Any) -> Any:
        """Return the block at an attention, a `keras_ood.bijectors.Chain`."""
        return bijectors.Chain(
            [
                bijectors.AttentionCoupling(self.first, self._half, attention),
                bijectors.AttentionCoupling(self.second, -(len(self.permutation) - self._half), attention),
                bijectors.ChannelPermutation(self.permutation),
            ]
        )

    def initialize(self, images: Any) -> None:
        """Nothing starts from data: features are whitened."""
