"""The features of a frozen encoder as a mixture of normal distributions."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ood.encoders.feature_space import FeatureSpace, inverse_root
from keras_ood.images.embeddings import Embeddings


@keras.saving.register_keras_serializable(package="keras_ood")
class MixtureSpace(FeatureSpace):
    """Features whitened by how images of one kind vary, and their density: for few images.

    With `c_1 .. c_K` the means of `K` clusters of the features `h` of `N` images, and `C = B B^T` the Ledoit-Wolf covariance of
    the features about their own mean, times `N / (N - K)`:

        whitened     w(x) = B^-1 (h - m)
        mahalanobis  |w(x)|
        knn          min_k |B^-1 (h - c_k)|
        log-density  log 1/K sum_k N(h; c_k, C)

    One covariance is estimated, and the density is a proper one, so that its value on held-out images says how large a memory
    they bear. `K = 1` is the shrunk Mahalanobis distance.

    Args:
        encoder: As in `FeatureSpace`.
        stages: As in `FeatureSpace`.
        memory: `K`.
    """

    measures_within = False

    def __init__(self, encoder: Any, stages: Any = None, memory: int = 1, **kwargs: Any) -> None:
        super().__init__(encoder, stages, memory, **kwargs)

    def fit(self, embeddings: Embeddings, seed: int = 0) -> "MixtureSpace":
        """Take centres and covariance from in-distribution images, see `FeatureSpace.fit`.

        In one thread: for so few numbers several are no faster, and wait long for each other where others compute, too.
        """
        from sklearn.covariance import ledoit_wolf
        from threadpoolctl import threadpool_limits

        features = self.looked_at(embeddings, seed)
        mean = features.mean(axis=0)
        with threadpool_limits(1):
            centres, nearest = self.clustered(features, features, seed)
            unbiased = len(features) / (len(features) - len(centres))
            covariance, _ = ledoit_wolf(features - centres[nearest], assume_centered=True)
            whitening = inverse_root(covariance * unbiased)
        self.hold(mean, whitening, np.eye(self.width), (centres - mean) @ whitening)
        return self

    def log_density(self, whitened: Any) -> Any:
        """Return the log-density of the features looked at, in nats, `(batch,)`, of `w`."""
        diagonal = np.cumsum([0, *range(self.width, 1, -1)])  # places of a triangle's diagonal among its numbers
        log_volume = ops.sum(ops.log(ops.take(self.whitening, diagonal)))
        return mixture_log_density(self.squared_distances(whitened), self.width) + log_volume


def mixture_log_density(squared_distances: Any, width: int) -> Any:
    """Return `log 1/K sum_k N(w; r_k, I)` in nats, `(...,)`, of `|w - r_k|^2`, `(..., K)`, in `width` dimensions."""
    count = squared_distances.shape[-1]
    return ops.logsumexp(-squared_distances / 2, axis=-1) - math.log(count) - width / 2 * math.log(2 * math.pi)
