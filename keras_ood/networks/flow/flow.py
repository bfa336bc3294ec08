"""A flow of one or several scales."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_ood import bijectors


class Flow(keras.layers.Layer):  # type: ignore[misc]
    """Steps at each scale; from one scale to the next, half of the channels leave and the others are squeezed.

    Args:
        scales: The steps of each scale: layers with `bijector(attention)` and `initialize(images)`.
        squeezed: Whether the first scale works on 2x2 blocks of pixels.
    """

    def __init__(self, scales: Sequence[Sequence[keras.layers.Layer]], squeezed: bool, **kwargs: Any) -> None:
        super().__init__(dtype="float32", autocast=False, **kwargs)
        self.steps = [step for scale in scales for step in scale]
        self._sizes = [len(scale) for scale in scales]
        self._squeezed = squeezed
        self.built = True

    def bijector(self, attention: Any = 1.0) -> Any:
        """Return the `keras_ood.bijectors.Chain` from images to latents at an attention, `(batch,)` or a scalar."""
        parts: list[Any] = []
        last = len(self.steps)
        for size in reversed(self._sizes):  # from the innermost scale outwards
            steps = [step.bijector(attention) for step in self.steps[last - size : last]]
            parts = steps + ([bijectors.FactorOut(bijectors.Chain(parts))] if parts else [])
            last -= size
        return bijectors.Chain([bijectors.Squeeze(), *parts] if self._squeezed else parts)

    def initialize(self, images: Any) -> None:
        """Let every step start from the images that reach it (Glow's data-dependent start).

        Args:
            images: `(batch, *image_shape)`, as `bijector` takes them.
        """
        squeeze = bijectors.Squeeze()
        if self._squeezed:
            images = squeeze.forward(images)
        first = 0
        for scale, size in enumerate(self._sizes):
            if scale:
                images = squeeze.forward(images[..., images.shape[-1] // 2 :])
            for step in self.steps[first : first + size]:
                step.initialize(images)
                images = step.bijector(ops.convert_to_tensor(1.0)).forward(images)
            first += size
