"""A fixed permutation of the channels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_ood.backend.tfp import ParameterProperties
from keras_ood.bijectors.image_bijector import ImageBijector


class ChannelPermutation(ImageBijector):
    """Output channel `i` is input channel `permutation[i]`; the log-determinant is 0.

    (TFP's `Permute` with the shapes and the one-pass methods of this package.)

    Args:
        permutation: Channel numbers.
    """

    def __init__(self, permutation: Sequence[int], name: str = "channel_permutation") -> None:
        parameters = dict(locals())
        self._permutation = np.asarray(permutation, "int32")
        super().__init__(name, parameters)

    @classmethod
    def _parameter_properties(cls, dtype: Any) -> dict[str, Any]:
        return {"permutation": ParameterProperties(event_ndims=None)}

    def forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        """The channels in their new order, 0."""
        return ops.take(x, self._permutation, axis=-1), ops.zeros_like(x[:, 0, 0, 0])

    def forward_and_log_det_map(self, x: Any) -> tuple[Any, Any]:
        """The channels in their new order, 0."""
        return ops.take(x, self._permutation, axis=-1), ops.zeros_like(x[..., 0])

    def inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        """The channels in their old order, 0."""
        return ops.take(y, np.argsort(self._permutation), axis=-1), ops.zeros_like(y[:, 0, 0, 0])
