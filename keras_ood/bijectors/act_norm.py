"""Activation normalisation."""

from typing import Any

from keras import ops

from keras_ood.backend.tfp import ParameterProperties
from keras_ood.bijectors.image_bijector import ImageBijector


class ActNorm(ImageBijector):
    """One shift and scale for each channel, switched on by the attention `c`.

    With shift `t` and log-scale `s`, one number per channel:

        forward    y = x exp(c s) + c t
        inverse    x = (y - c t) exp(-c s)
        log-det    c height width sum(s)

    Args:
        shift: `(channels,)`.
        log_scale: `(channels,)`.
        attention: `c`, `(batch,)`, or a scalar for all images.

    Source: Kingma, Dhariwal, "Glow", NeurIPS 2018, arXiv 1807.03039; the attention is ours.
    """

    def __init__(self, shift: Any, log_scale: Any, attention: Any = 1.0, name: str = "act_norm") -> None:
        parameters = dict(locals())
        self._shift, self._log_scale, self._attention = shift, log_scale, attention
        super().__init__(name, parameters)

    @classmethod
    def _parameter_properties(cls, dtype: Any) -> dict[str, Any]:
        return {
            name: ParameterProperties(event_ndims=ndims) for name, ndims in (("shift", 1), ("log_scale", 1), ("attention", 0))
        }

    def forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        """`y = x exp(c s) + c t`, `c height width sum(s)`."""
        shift, log_scale, log_det = self._at_attention(x)
        return x * ops.exp(log_scale) + shift, log_det

    def inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        """`x = (y - c t) exp(-c s)`, `-c height width sum(s)`."""
        shift, log_scale, log_det = self._at_attention(y)
        return (y - shift) * ops.exp(-log_scale), -log_det

    def _at_attention(self, images: Any) -> tuple[Any, Any, Any]:
        attention = ops.broadcast_to(ops.cast(self._attention, images.dtype), ops.shape(images)[:1])
        factor = ops.reshape(attention, (-1, 1, 1, 1))
        shift, log_scale = (ops.cast(values, images.dtype) for values in (self._shift, self._log_scale))
        positions = images.shape[1] * images.shape[2]
        return factor * shift, factor * log_scale, attention * positions * ops.sum(log_scale)
