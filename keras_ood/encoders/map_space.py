"""The features at every position as in-distribution images fill them."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ood.encoders.feature_space import IMAGES_EACH, MOST, FeatureSpace
from keras_ood.encoders.map_encoder import MapEncoder
from keras_ood.images.embeddings import Embeddings

SHRINKAGE = 0.1


@keras.saving.register_keras_serializable(package="keras_ood")
class MapSpace(FeatureSpace):
    """Whitened features at every position of an image, by mean and covariance over the positions of in-distribution images.

    As a `FeatureSpace` whose images are the neighbourhoods of positions. Positions of one image depend on each other, and the
    Ledoit-Wolf estimate counts them as if they did not, so that what it shrinks is too little for other images: with `S` that
    estimate of `d` features, `S + 0.1 tr(S) / d I` is taken.

    Args:
        encoder: A `MapEncoder`, or what it takes as `network`.
        stages: Positions among the encoder's stages of those that are looked at, rising; None for all.
        memory: Number of centres of the memory.

    Raises:
        ValueError: As in `FeatureSpace`.
    """

    def __init__(self, encoder: Any, stages: Sequence[int] | None = None, memory: int = 50, **kwargs: Any) -> None:
        if isinstance(encoder, dict):
            encoder = keras.saving.deserialize_keras_object(encoder)
        super().__init__(encoder if isinstance(encoder, MapEncoder) else MapEncoder(encoder), stages, memory, **kwargs)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """`(height, width, features)` of an image's map."""
        return (*self.encoder.grid, self.width)

    def looked_at(self, embeddings: Embeddings, seed: int) -> np.ndarray:
        """Return the features that a fit takes, float64 `(positions, width)`, as many of each image and at most 50,000.

        Raises:
            ValueError: Too few images, or embeddings of another encoder.
        """
        self.require(embeddings)
        if len(embeddings) * math.prod(self.encoder.grid) < IMAGES_EACH * self.memory:
            raise ValueError(
                f"`memory` takes {IMAGES_EACH} positions for each centre. Received: {len(embeddings)} images of "
                f"{self.encoder.grid} positions, memory={self.memory}"
            )
        generator = np.random.default_rng(seed)
        chosen = np.sort(generator.permutation(len(embeddings))[:MOST])
        positions = math.prod(self.encoder.grid)
        each = min(positions, -(-MOST // len(chosen)))
        parts = []
        for image in chosen:
            local = np.asarray(embeddings.array[image], np.float64).reshape(positions, -1)
            parts.append(local[generator.permutation(positions)[:each]][:, self.columns])
        return np.concatenate(parts)[:MOST]

    def shrunk(self, covariance: np.ndarray) -> np.ndarray:
        """Return `S + 0.1 tr(S) / d I` of the Ledoit-Wolf estimate `S`."""
        return np.asarray(covariance + SHRINKAGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance)))

    def call(self, features: Any) -> Any:
        """Return `w`, `(batch, height, width, features)`, of the encoder's features `(batch, encoder.width)`."""
        return super().call(self._at_positions(features))

    def others(self, features: Any) -> Any:
        """Return the encoder's features at the other stages, `(batch, height, width, features)`, see `other_columns`."""
        return super().others(self._at_positions(features))

    def _at_positions(self, features: Any) -> Any:
        return ops.reshape(features, (-1, *self.encoder.grid, self.encoder.channels))

    def statistics(self, whitened: Any) -> dict[str, Any]:
        """Return `mahalanobis` and `knn`, `(batch,)` each, of `w`: the largest of any position."""
        return {name: ops.max(values, axis=(1, 2)) for name, values in super().statistics(whitened).items()}
