"""The features at every position as in-distribution images fill them."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ood.encoders.feature_space import IMAGES_EACH, MOST, FeatureSpace, inverse_root
from keras_ood.encoders.map_encoder import MapEncoder
from keras_ood.encoders.mixture_space import mixture_log_density
from keras_ood.images.embeddings import Embeddings

SHRINKAGE = 1.0


@keras.saving.register_keras_serializable(package="keras_ood")
class MapSpace(FeatureSpace):
    """Features at every position of an image, whitened gently, and their density about a memory of positions.

    With `h` the `d` features at a position, `m` and `S` their mean and Ledoit-Wolf covariance over the positions of
    in-distribution images, `S + tr(S) / d I = L L^T`, and `r_1 .. r_K` the centres of a k-means clustering of `L^-1 (h - m)`,
    `s^2` the mean squared distance to the nearest of them, by feature:

        whitened     w(x) = L^-1 (h - m) / s
        mahalanobis  max |w(x)|                    over the positions
        knn          max min_k |w(x) - r_k / s|    over the positions
        density      1/K sum_k N(w; r_k / s, I)    at each position

    Directions in which features hardly vary are hardly stretched: there most of what differs between images of one kind is
    noise, and a distance that divides by it finds defects worse (`benchmark/localisation.csv`).

    Args:
        encoder: A `MapEncoder`, or what it takes as `network`.
        stages: Positions among the encoder's stages of those that are looked at, rising; None for all.
        memory: Number of centres of the memory.

    Raises:
        ValueError: As in `FeatureSpace`.

    Source: Roth et al., "PatchCore", arXiv 2106.08265, with the centres of clusters as the coreset.
    """

    measures_within = False

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
        each = min(math.prod(self.encoder.grid), -(-MOST // len(embeddings)))
        return self.at_random_positions(embeddings, each, seed)[:MOST, self.columns].astype(np.float64)

    def at_random_positions(self, embeddings: Embeddings, each: int, seed: int = 0) -> np.ndarray:
        """Return the encoder's features at some positions of each image, float32 `(N each, channels)`; images in any order."""
        generator = np.random.default_rng(seed)
        positions = math.prod(self.encoder.grid)
        parts = []
        for image in generator.permutation(len(embeddings)):
            local = embeddings.array[image].reshape(positions, -1)
            parts.append(local[generator.permutation(positions)[:each]].astype(np.float32))
        return np.concatenate(parts)

    def gate_features(
        self, training: Embeddings, held_out: Embeddings, positions: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what a gate is fitted to and held against: means over all positions, or some random ones of each image."""
        if not positions:
            return super().gate_features(training, held_out)
        seen = [self.at_random_positions(part, each) for part, each in ((training, 20), (held_out, 4))]
        return seen[0][:, self.other_columns], seen[1][:, self.other_columns]

    def gate_view(self, embeddings: Embeddings) -> np.ndarray:
        """Return what a gate for each image sees of images, `(N, features)`: means over all positions."""
        parts = [batch.reshape(len(batch), -1, self.encoder.channels).mean(axis=1) for batch in embeddings.batches(64)]
        return np.concatenate(parts)[:, self.other_columns]

    def fit(self, embeddings: Embeddings, seed: int = 0) -> "MapSpace":
        """Take mean, covariance and memory from the positions of in-distribution images; see `FeatureSpace.fit`."""
        from sklearn.covariance import ledoit_wolf

        features = self.looked_at(embeddings, seed)
        mean = features.mean(axis=0)
        covariance = ledoit_wolf(features - mean, assume_centered=True)[0]
        whitening = inverse_root(covariance + SHRINKAGE * np.trace(covariance) / self.width * np.eye(self.width))
        whitened = (features - mean) @ whitening
        centres, nearest = self.clustered(whitened, whitened, seed)
        deviation = np.sqrt(np.mean(np.square(whitened - centres[nearest])))
        self.hold(mean, whitening / deviation, np.eye(self.width), centres / deviation)
        return self

    def closely(self, images: Any) -> Any:
        """Return the encoder's features, `(batch, encoder.width)`, which are of positions; embeddings are such features."""
        return self.embed(images)

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

    def log_density(self, whitened: Any) -> Any:
        """Return the log-density of `w` in nats at each position, `(batch, height, width)`."""
        return mixture_log_density(self.squared_distances(whitened), self.width)
