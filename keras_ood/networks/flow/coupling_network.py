"""The network inside a coupling."""

from typing import Any

import keras
from keras import layers, ops

from keras_ood.bijectors.broadcast import at_every_channel


class CouplingNetwork(layers.Layer):  # type: ignore[misc]
    """Convolutions from the kept channels and the attention to shift and log-scale of the other channels.

    The attention enters as channels, constant where it is one number an image; where the convolutions pad with zeros, a
    constant channel also tells the network where the border is. The last convolution starts at zero: an untrained coupling is
    the identity.

    Args:
        kept: Channels in.
        moved: Channels that get a shift and a log-scale.
        filters: Numbers of filters of the hidden convolutions.
        kernels: Sides of all convolutions, one more than `filters`.
        attention_channels: How often the attention is repeated.
        separate: Whether shift and log-scale come from networks of their own.
    """

    def __init__(
        self,
        kept: int,
        moved: int,
        filters: tuple[int, ...],
        kernels: tuple[int, ...],
        attention_channels: int,
        separate: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.attention_channels = attention_channels
        outputs = [("shift", moved), ("log_scale", moved)] if separate else [("shift_and_log_scale", 2 * moved)]
        self.networks = [_convolutions(name, kept + attention_channels, filters, kernels, size) for name, size in outputs]
        self.built = True

    def call(self, kept: Any, attention: Any) -> tuple[Any, Any]:
        """Return shift and log-scale before the clamp, for `(batch, h, w, kept)` and `(batch,)` or `(batch, h, w)`."""
        constant = ops.ones_like(kept[..., :1]) * at_every_channel(attention)
        inputs = ops.concatenate([kept, *[constant] * self.attention_channels], axis=-1)
        outputs = [ops.cast(network(inputs), kept.dtype) for network in self.networks]
        return tuple(outputs) if len(outputs) == 2 else tuple(ops.split(outputs[0], 2, axis=-1))


def _convolutions(
    name: str, channels: int, filters: tuple[int, ...], kernels: tuple[int, ...], outputs: int
) -> keras.Sequential:
    same = {"padding": "same", "data_format": "channels_last"}
    hidden = [layers.Conv2D(*sizes, activation="relu", **same) for sizes in zip(filters, kernels[:-1], strict=True)]
    last = layers.Conv2D(outputs, kernels[-1], kernel_initializer="zeros", **same)
    return keras.Sequential([keras.Input((None, None, channels)), *hidden, last], name=name)
