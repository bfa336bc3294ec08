"""A network of somebody's training as an extractor of features at every position."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_ood.backend.blueprint import drawing
from keras_ood.encoders.frozen_encoder import FrozenEncoder


@keras.saving.register_keras_serializable(package="keras_ood")
class MapEncoder(FrozenEncoder):
    """Images to the features of several stages of a frozen network at every position of the first one's map.

    Position by position as `FrozenEncoder.local_features` says, and row by row in one vector, so that what holds and carries
    the features of images, `keras_ood.encoders.Embeddings`, holds and carries these.

    Args:
        network: As in `FrozenEncoder`.
        image_shape: As in `FrozenEncoder`; None for a model's own, else `(192, 192, 3)`.
        stages: Indices of the stages, rising; None for the first two, the finest.
        grid: `(height, width)` of the first stage's map, as a configuration keeps it; None to look.
        **kwargs: `digest` and `widths`, see `FrozenEncoder`, and what `keras.layers.Layer` takes.

    Raises:
        RuntimeError: As in `FrozenEncoder`.
        ValueError: As in `FrozenEncoder`.
    """

    def __init__(
        self,
        network: str | keras.Model,
        image_shape: Sequence[int] | None = None,
        stages: Sequence[int] | None = None,
        grid: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(network, str) and image_shape is None:
            image_shape = (192, 192, 3)
        if stages is None and not drawing():
            stages = (0, 1)
        super().__init__(network, image_shape, stages, **kwargs)
        if grid is None:
            if drawing():
                raise ValueError(f"A configuration has `grid`. Received: {grid=}")
            grid = self.ready().model.outputs[self.stages[0]].shape[1:3]
        self.grid = tuple(int(side) for side in grid)

    @property
    def channels(self) -> int:
        """Number of features at a position."""
        return sum(self.widths)

    @property
    def width(self) -> int:
        """Number of features at all positions."""
        return self.grid[0] * self.grid[1] * self.channels

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the features, as of a `FrozenEncoder`, and `grid`."""
        return super().identity | {"grid": list(self.grid)}

    def call(self, images: Any) -> Any:
        """Return the features, float32 `(batch, width)`, of `(batch, height, width, 1 or 3)` images."""
        return ops.reshape(self.local_features(images, like=0), (-1, self.width))
