"""The invertible 1x1 convolution."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_ood.backend.tfp import ParameterProperties
from keras_ood.bijectors.image_bijector import ImageBijector


class InvertibleConvolution(ImageBijector):
    """1x1 convolution with the matrix `P L U`, which the attention `c` takes to the permutation `P`.

    With `l` and `u` the parts of `lower` and `upper` below and above their diagonals and `s = log_diagonal`:

        L = I + c l,   U = diag(exp(c s)) + c u
        forward    y = P L U x   at every position
        inverse    x = U^-1 L^-1 P^T y
        log-det    c height width sum(s)

    `c = 1` is the LU-parametrised convolution of Glow, `c = 0` a fixed permutation of the channels, which is what is left of
    a block of InFlow whose attention is 0. (TFP's `ScaleMatvecLU` is the case `c = 1`.)

    Args:
        lower: `(channels, channels)`; what is not below the diagonal is ignored.
        upper: `(channels, channels)`; what is not above the diagonal is ignored.
        log_diagonal: `(channels,)`.
        permutation: Channel numbers; output channel `i` takes channel `permutation[i]` of `L U x`.
        attention: `c`, `(batch,)`, or a scalar for all images.

    Source: Kingma, Dhariwal, "Glow", NeurIPS 2018, arXiv 1807.03039; the attention is ours.
    """

    def __init__(
        self,
        lower: Any,
        upper: Any,
        log_diagonal: Any,
        permutation: Sequence[int],
        attention: Any = 1.0,
        name: str = "invertible_convolution",
    ) -> None:
        parameters = dict(locals())
        self._lower, self._upper, self._log_diagonal = lower, upper, log_diagonal
        self._permutation = np.asarray(permutation, "int32")
        self._attention = attention
        super().__init__(name, parameters)

    @classmethod
    def _parameter_properties(cls, dtype: Any) -> dict[str, Any]:
        ndims = {"lower": 2, "upper": 2, "log_diagonal": 1, "permutation": None, "attention": 0}
        return {name: ParameterProperties(event_ndims=number) for name, number in ndims.items()}

    def forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        """`y = P L U x`, `c height width sum(s)`."""
        lower, upper, log_det = self._at_attention(x)
        matrix = ops.take(ops.transpose(ops.matmul(lower, upper), (0, 2, 1)), self._permutation, axis=-1)
        return _at_every_position(x, matrix), log_det

    def inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        """`x = U^-1 L^-1 P^T y`, `-c height width sum(s)`."""
        lower, upper, log_det = self._at_attention(y)
        identity = ops.broadcast_to(ops.eye(y.shape[-1], dtype=y.dtype), ops.shape(lower))
        inverse = ops.solve_triangular(upper, ops.solve_triangular(lower, identity, lower=True))
        unpermuted = ops.take(y, np.argsort(self._permutation), axis=-1)
        return _at_every_position(unpermuted, ops.transpose(inverse, (0, 2, 1))), -log_det

    def _at_attention(self, images: Any) -> tuple[Any, Any, Any]:
        lower, upper, log_diagonal, attention = (
            ops.cast(values, images.dtype) for values in (self._lower, self._upper, self._log_diagonal, self._attention)
        )
        attention = ops.reshape(attention, (-1,))  # (batch,) or (1,)
        matrix_factor, positions = attention[:, None, None], images.shape[1] * images.shape[2]
        identity = ops.eye(images.shape[-1], dtype=images.dtype)
        log_det = ops.broadcast_to(attention * positions * ops.sum(log_diagonal), ops.shape(images)[:1])
        diagonal = identity * ops.exp(attention[:, None] * log_diagonal)[:, None, :]
        return identity + matrix_factor * ops.tril(lower, -1), diagonal + matrix_factor * ops.triu(upper, 1), log_det


def _at_every_position(images: Any, matrices: Any) -> Any:
    """Multiply the channels by `matrices`, `(batch or 1, channels, channels)`."""
    flat = ops.reshape(images, (-1, images.shape[1] * images.shape[2], images.shape[3]))
    return ops.reshape(ops.matmul(flat, matrices), (-1, *images.shape[1:]))
