"""The features of a frozen encoder as in-distribution images fill them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ood.backend.settings import own_settings
from keras_ood.encoders.frozen_encoder import FrozenEncoder
from keras_ood.images.embeddings import Embeddings

MEMORY = 200
IMAGES_EACH = 2  # at least, for each centre of the memory
MOST = 50_000  # embeddings that a fit takes


@keras.saving.register_keras_serializable(package="keras_ood")
class FeatureSpace(keras.layers.Layer):  # type: ignore[misc]
    """Whitened features, and how far an image's are from those of in-distribution images.

    With `h` an image's features at the stages looked at, `m` and `S` their mean and Ledoit-Wolf covariance over in-distribution
    images, `S = L L^T`, and `r_1 .. r_K` the memory:

        whitened     w(x) = L^-1 (h - m)
        mahalanobis  |w(x)|
        knn          min_k |B^-1 (w(x) - r_k)|,  C = B B^T

    The memory is a coreset: the `K` centres of a k-means clustering of the features before they are whitened. `C` is the
    Ledoit-Wolf covariance of the whitened features about their own centres, so that a distance is measured by how images of one
    kind vary, not by how the kinds differ. No label is used.

    Args:
        encoder: A `FrozenEncoder`, or what it takes as `network`.
        stages: Positions among the encoder's stages of those that are looked at, rising; None for all.
        memory: `K`.

    Raises:
        ValueError: Stages that the encoder has not, or a memory that is none.

    Source: Lee et al., arXiv 1807.03888, with clusters in place of classes; Ledoit, Wolf, "A well-conditioned estimator for
    large-dimensional covariance matrices", 2004; Sun et al., "Out-of-Distribution Detection with Deep Nearest Neighbors",
    arXiv 2204.06507; Roth et al., "PatchCore", arXiv 2106.08265 (coresets).
    """

    measures_within = True
    """Whether distances to the memory are measured by a covariance of their own, `C`; else `C = I`."""

    def __init__(self, encoder: Any, stages: Sequence[int] | None = None, memory: int = MEMORY, **kwargs: Any) -> None:
        super().__init__(trainable=False, dtype="float32", autocast=False, **kwargs)
        if isinstance(encoder, dict):
            encoder = keras.saving.deserialize_keras_object(encoder)
        self.encoder = encoder if isinstance(encoder, FrozenEncoder) else FrozenEncoder(encoder)
        every = range(len(self.encoder.widths))
        self.stages = tuple(every) if stages is None else tuple(stages)
        if not self.stages or list(self.stages) != sorted(set(self.stages)) or not set(self.stages) <= set(every):
            raise ValueError(f"`stages` are of {list(every)} of the encoder's, rising. Received: {stages!r}")
        if isinstance(memory, bool) or not isinstance(memory, int) or memory < 1:
            raise ValueError(f"`memory` must be a positive integer. Received: {memory!r}")
        self.memory = memory
        self.columns = self._columns_of(self.stages)
        width = len(self.columns)
        self.mean = self._state("mean", (width,))
        self.whitening = self._state("whitening", (width * (width + 1) // 2,))  # triangles: half of the numbers are 0
        self._within = self._state("within", (width * (width + 1) // 2,)) if self.measures_within else None
        self.centres = self._state("centres", (memory, width))
        self.built = True

    def _state(self, name: str, shape: tuple[int, ...]) -> Any:
        return self.add_weight(shape=shape, initializer="zeros", trainable=False, autocast=False, name=name)

    def _columns_of(self, stages: Sequence[int]) -> np.ndarray:
        ends = np.cumsum((0, *self.encoder.widths))
        return np.concatenate([np.arange(ends[stage], ends[stage + 1]) for stage in stages])

    @property
    def width(self) -> int:
        """Number of features that are looked at."""
        return len(self.columns)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of what the networks see of one image."""
        return (self.width,)

    @property
    def other_columns(self) -> np.ndarray:
        """Which columns of the encoder's features are not looked at; all of them, where every stage is."""
        others = [stage for stage in range(len(self.encoder.widths)) if stage not in self.stages]
        return self._columns_of(others or self.stages)

    @property
    def fitted(self) -> bool:
        """Whether in-distribution images have been seen."""
        return bool(np.any(ops.convert_to_numpy(self.whitening)))

    def fit(self, embeddings: Embeddings, seed: int = 0) -> "FeatureSpace":
        """Take mean, covariances and memory from in-distribution images; returns itself.

        Args:
            embeddings: Of at least twice as many images as `memory`; `keras_ood.encoders.embed` makes them.
            seed: Seed of the clustering, and of the choice of 50,000 images where there are more.

        Raises:
            ValueError: Too few images, or embeddings of another encoder.
        """
        from sklearn.covariance import ledoit_wolf

        features = self.looked_at(embeddings, seed)
        mean = features.mean(axis=0)
        whitening = inverse_root(ledoit_wolf(features - mean, assume_centered=True)[0])
        whitened = (features - mean) @ whitening
        centres, nearest = self.clustered(features, whitened, seed)
        about = whitened - centres[nearest]
        within = inverse_root(ledoit_wolf(about, assume_centered=True)[0])
        return self.hold(mean, whitening, within, centres @ within)

    def looked_at(self, embeddings: Embeddings, seed: int) -> np.ndarray:
        """Return the features that a fit takes, float64 `(N, width)`, of at most 50,000 images.

        Raises:
            ValueError: Too few images, or embeddings of another encoder.
        """
        self.require(embeddings)
        if len(embeddings) < IMAGES_EACH * self.memory:
            raise ValueError(
                f"`memory` takes {IMAGES_EACH} images for each centre. Received: {len(embeddings)}, memory={self.memory}"
            )
        chosen = np.sort(np.random.default_rng(seed).permutation(len(embeddings))[:MOST])
        return embeddings[chosen].values()[:, self.columns].astype(np.float64)

    def clustered(self, features: np.ndarray, placed: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the means, `(clusters, width)`, of `placed` over the clusters of `features`, and the cluster of each, `(N,)`.

        Of the `memory` clusters some may have no member: those are not there.
        """
        from sklearn.cluster import MiniBatchKMeans

        if self.memory == 1:
            return placed.mean(axis=0, keepdims=True), np.zeros(len(placed), np.int64)
        batch = min(2_048, len(features))
        clusters = MiniBatchKMeans(self.memory, batch_size=batch, n_init=3, max_iter=30, random_state=seed).fit_predict(
            features
        )
        members = np.unique(clusters)
        return np.stack([placed[clusters == member].mean(axis=0) for member in members]), np.searchsorted(members, clusters)

    def hold(self, mean: np.ndarray, whitening: np.ndarray, within: np.ndarray, centres: np.ndarray) -> "FeatureSpace":
        """Keep what a fit found: `m`, `L^-1`, `B^-1` and at most `memory` centres, the first repeated for what is missing."""
        centres = np.concatenate([centres, np.repeat(centres[:1], self.memory - len(centres), axis=0)])
        values = [(self.mean, mean), (self.whitening, _pack(whitening)), (self.centres, centres)]
        if self._within is not None:
            values.append((self._within, _pack(within)))
        for weight, value in values:
            weight.assign(value.astype(np.float32))
        return self

    def require(self, embeddings: Embeddings) -> None:
        """Check that embeddings are of this encoder.

        Raises:
            ValueError: They are of another one.
        """
        wanted = self.encoder.identity
        found = {key: embeddings.encoder.get(key) for key in wanted}
        if found != wanted or embeddings.shape[1] != self.encoder.width:
            raise ValueError(
                f"Embeddings must be those of the detector's encoder, {self.encoder.width} features of {wanted}. "
                f"Received: {embeddings.shape[1]} features of {found}"
            )

    def embed(self, images: Any) -> Any:
        """Return the encoder's features, `(batch, encoder.width)`, of a batch of images; what has rank 2 is such features."""
        return ops.cast(images, "float32") if len(images.shape) == 2 else self.encoder(images)

    def closely(self, images: Any) -> Any:
        """Return the features around each position of the middle stage's grid, `(batch, h, w, encoder.width)`, of images.

        Raises:
            ValueError: Embeddings, which know no positions.
        """
        if len(images.shape) != 4:
            raise ValueError(f"Where an image is odd is seen in the image. Received: embeddings of shape {tuple(images.shape)}")
        return self.encoder.local_features(images, like=(len(self.encoder.stages) - 1) // 2)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """As any Keras layer; float32 whatever `keras.config.set_floatx` says."""
        with own_settings():
            return super().__call__(*inputs, **options)

    def call(self, features: Any) -> Any:
        """Return `w`, `(batch, width)`, of the encoder's features `(batch, encoder.width)`."""
        return ops.matmul(_take(features, self.columns) - self.mean, _unpack(self.whitening, self.width))

    def others(self, features: Any) -> Any:
        """Return the encoder's features at the other stages, `(batch, ...)`, see `other_columns`."""
        return _take(features, self.other_columns)

    def gate_features(
        self, training: Embeddings, held_out: Embeddings, positions: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what a gate is fitted to and held against, `(N, features)` each, see `other_columns`.

        Args:
            training: Of in-distribution images.
            held_out: Of others.
            positions: Whether the gate is at positions, which a `MapSpace` has.
        """
        return self.gate_view(training), self.gate_view(held_out)

    def gate_view(self, embeddings: Embeddings) -> np.ndarray:
        """Return what a gate for each image sees of images, `(N, features)`, see `other_columns`."""
        return np.asarray(embeddings.values()[:, self.other_columns])

    def statistics(self, whitened: Any) -> dict[str, Any]:
        """Return `mahalanobis` and `knn`, `(batch,)` each, of `w`."""
        return {
            "mahalanobis": ops.sqrt(ops.sum(ops.square(whitened), axis=-1)),
            "knn": ops.sqrt(ops.min(self.squared_distances(whitened), axis=-1)),
        }

    def squared_distances(self, whitened: Any) -> Any:
        """Return `|B^-1 (w - r_k)|^2`, `(batch, memory)`, of `w`."""
        about = whitened if self._within is None else ops.matmul(whitened, _unpack(self._within, self.width))
        centres = ops.convert_to_tensor(self.centres)
        products = ops.matmul(about, ops.transpose(centres))
        squared = ops.sum(ops.square(centres), axis=-1) - 2 * products + ops.sum(ops.square(about), axis=-1, keepdims=True)
        return ops.maximum(squared, 0.0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "name": self.name,
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "stages": list(self.stages),
            "memory": self.memory,
        }


def inverse_root(covariance: np.ndarray) -> np.ndarray:
    """The upper triangle `W` with `W^T S W = I`."""
    try:
        return np.asarray(np.linalg.inv(np.linalg.cholesky(covariance)).T)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            f"Features that do not vary cannot be whitened: more different images are needed. Received: {error}"
        ) from error


def _pack(triangle: np.ndarray) -> np.ndarray:
    """The numbers of an upper triangle, row by row."""
    return triangle[np.triu_indices(len(triangle))]


def _unpack(numbers: Any, width: int) -> Any:
    """The `(width, width)` upper triangle of the numbers that `_pack` gave."""
    padded = ops.concatenate([ops.zeros((1,)), ops.convert_to_tensor(numbers)])
    return ops.reshape(ops.take(padded, _places(width)), (width, width))


@lru_cache(maxsize=4)
def _places(width: int) -> np.ndarray:
    """Where each number of a `(width, width)` upper triangle is in what `_pack` gave, after a zero that is put in front."""
    places = np.zeros((width, width), np.int32)
    places[np.triu_indices(width)] = np.arange(1, width * (width + 1) // 2 + 1)
    return places.reshape(-1)


def _take(features: Any, columns: np.ndarray) -> Any:
    """Columns that lie side by side are a slice."""
    if len(columns) == features.shape[-1]:
        return features
    first, last = int(columns[0]), int(columns[-1])
    if last - first + 1 == len(columns):
        return features[..., first : last + 1]
    return ops.take(features, columns, axis=-1)
