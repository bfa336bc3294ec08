"""The affine coupling that an attention switches on."""

import math
from collections.abc import Callable
from typing import Any

from keras import ops

from keras_ood.backend.tfp import ParameterProperties
from keras_ood.bijectors.broadcast import at_every_channel
from keras_ood.bijectors.image_bijector import ImageBijector


class AttentionCoupling(ImageBijector):
    """Affine coupling whose shift, log-scale and log-determinant are multiplied by an attention `c` in 0..1.

    There is one `c` per image, or one per position.

    With `x = (a, b)` split by channels, `a` kept and `b` transformed, `(t, u) = shift_and_log_scale_fn(a, c)` and
    `s = clamp (2 / pi) atan(u)`, so that `|s| < clamp`:

        forward        y = (a, b exp(c s) + c t)
        inverse        x = (a, (b - c t) exp(-c s))
        log-det        c sum(s)

    `c = 1` is the affine coupling, `c = 0` the identity; a bijection for every `c`, because `c` is given, not computed from
    `b`. (Whoever computes `c` from the whole image gets the density of the image given its `c`.)

    Args:
        shift_and_log_scale_fn: `(kept (batch, h, w, kept), attention (batch,) or (batch, h, w)) -> (t, u)`, each of the shape
            of `b`; usually a Keras layer, which owns the weights. `u` before the clamp.
        kept_channels: How many channels are kept: the first ones if positive, the last ones if negative, as in TFP's
            `RealNVP`.
        attention: `c`, `(batch,)`, `(batch, h, w)`, or a scalar for all images.
        clamp: Bound of the log-scale.

    Source: Kumar et al., "InFlow: Robust outlier detection utilizing Normalizing Flows", arXiv 2106.12894; there the
    log-determinant misses its factor `c` and the inverse ignores `c`.
    """

    def __init__(
        self,
        shift_and_log_scale_fn: Callable[[Any, Any], tuple[Any, Any]],
        kept_channels: int,
        attention: Any = 1.0,
        clamp: float = 2.0,
        name: str = "attention_coupling",
    ) -> None:
        parameters = dict(locals())
        if not kept_channels:
            raise ValueError(f"`kept_channels` must be a positive or negative integer. Received: {kept_channels!r}")
        self._shift_and_log_scale_fn = shift_and_log_scale_fn
        self._kept_channels = int(kept_channels)
        self._attention = attention
        self._clamp = float(clamp)
        super().__init__(name, parameters)

    @classmethod
    def _parameter_properties(cls, dtype: Any) -> dict[str, Any]:
        return {"attention": ParameterProperties(event_ndims=0)}

    def forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        """`y = (a, b exp(c s) + c t)`, `c sum(s)`."""
        y, log_scale = self._forward_and_log_scale(x)
        return y, ops.sum(log_scale, axis=(1, 2, 3))

    def forward_and_log_det_map(self, x: Any) -> tuple[Any, Any]:
        """`y = (a, b exp(c s) + c t)`, `c sum(s)` over the channels."""
        y, log_scale = self._forward_and_log_scale(x)
        return y, ops.sum(log_scale, axis=-1)

    def _forward_and_log_scale(self, x: Any) -> tuple[Any, Any]:
        kept, moved = self._split(x)
        shift, log_scale = self._shift_and_log_scale(kept)
        return self._join(kept, moved * ops.exp(log_scale) + shift), log_scale

    def inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        """`x = (a, (b - c t) exp(-c s))`, `-c sum(s)`."""
        kept, moved = self._split(y)
        shift, log_scale = self._shift_and_log_scale(kept)
        return self._join(kept, (moved - shift) * ops.exp(-log_scale)), -ops.sum(log_scale, axis=(1, 2, 3))

    def _shift_and_log_scale(self, kept: Any) -> tuple[Any, Any]:
        attention = ops.cast(self._attention, kept.dtype)
        if len(attention.shape) != 3:
            attention = ops.broadcast_to(attention, ops.shape(kept)[:1])
        shift, raw = self._shift_and_log_scale_fn(kept, attention)
        factor = at_every_channel(attention)
        raw = ops.cast(raw, kept.dtype)
        log_scale = self._clamp * (2 / math.pi) * ops.arctan2(raw, ops.ones_like(raw))  # arctan(raw), which LiteRT lacks
        return factor * ops.cast(shift, kept.dtype), factor * log_scale

    def _split(self, images: Any) -> tuple[Any, Any]:
        first, last = images[..., : self._kept_channels], images[..., self._kept_channels :]
        return (first, last) if self._kept_channels > 0 else (last, first)

    def _join(self, kept: Any, moved: Any) -> Any:
        return ops.concatenate([kept, moved] if self._kept_channels > 0 else [moved, kept], axis=-1)
