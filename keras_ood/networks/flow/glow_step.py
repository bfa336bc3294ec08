"""One step of Glow with an attention."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ood import bijectors
from keras_ood.networks.flow.coupling_network import CouplingNetwork

HIDDEN = 64  # filters of a coupling's network


class GlowStep(keras.layers.Layer):  # type: ignore[misc]
    """Act-norm, invertible 1x1 convolution, affine coupling; the attention switches off all three.

    Args:
        channels: Number of channels of the images that reach the step, an even number.
        seed: Seed of the permutation inside the convolution.

    Source: Kingma, Dhariwal, "Glow", NeurIPS 2018, arXiv 1807.03039.
    """

    def __init__(self, channels: int, seed: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        zeros = {"initializer": "zeros", "dtype": "float32", "autocast": False}
        self.shift = self.add_weight(shape=(channels,), name="shift", **zeros)
        self.log_scale = self.add_weight(shape=(channels,), name="log_scale", **zeros)
        self.lower = self.add_weight(shape=(channels, channels), name="lower", **zeros)
        self.upper = self.add_weight(shape=(channels, channels), name="upper", **zeros)
        self.log_diagonal = self.add_weight(shape=(channels,), name="log_diagonal", **zeros)
        self.permutation = np.random.default_rng(seed).permutation(channels).tolist()
        half = channels // 2
        self.network = CouplingNetwork(half, channels - half, (HIDDEN, HIDDEN), (3, 1, 3), 1, separate=False, name="network")
        self.built = True

    def bijector(self, attention: Any) -> Any:
        """Return the step at an attention, a `keras_ood.bijectors.Chain`."""
        shift, log_scale, lower, upper, log_diagonal = (
            ops.convert_to_tensor(weight) for weight in (self.shift, self.log_scale, self.lower, self.upper, self.log_diagonal)
        )
        half = self.shift.shape[0] // 2
        return bijectors.Chain(
            [
                bijectors.ActNorm(shift, log_scale, attention),
                bijectors.InvertibleConvolution(lower, upper, log_diagonal, self.permutation, attention),
                bijectors.AttentionCoupling(self.network, half, attention),
            ]
        )

    def initialize(self, images: Any) -> None:
        """Set shift and scale of a fresh act-norm so that its output has mean 0 and deviation 1 in every channel."""
        if np.any(ops.convert_to_numpy(self.log_scale)):
            return  # started or trained before
        values = ops.convert_to_numpy(images)
        scale = 1 / (values.std(axis=(0, 1, 2)) + 1e-6)
        self.log_scale.assign(np.log(scale))
        self.shift.assign(-values.mean(axis=(0, 1, 2)) * scale)
