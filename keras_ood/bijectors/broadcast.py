"""Attentions beside images; without TFP, which networks need not."""

from typing import Any


def at_every_channel(attention: Any) -> Any:
    """Return an attention, `(batch,)` or `(batch, h, w)`, as what multiplies `(batch, h, w, channels)`."""
    return attention[..., None] if len(attention.shape) == 3 else attention[:, None, None, None]
