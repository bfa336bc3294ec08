"""The in-distribution images that are most like an image, in the eyes of its detector."""

from collections.abc import Callable

import numpy as np
from sklearn.neighbors import NearestNeighbors

from keras_ood.attention import PerImageGate
from keras_ood.encoders import encode
from keras_ood.models import Detector, InFlow, TiltedVAE

Features = Callable[[np.ndarray], np.ndarray]


class Neighbours:
    """In-distribution images, encoded once.

    The distance is Euclidean, in the detector's own features: the posterior means of a `TiltedVAE`, what the gate of an
    `InFlow` encodes.

    Args:
        features: From prepared `(N, *image_shape)` images to `(N, features)`, see `features_of`.
        images: Prepared in-distribution images.
    """

    def __init__(self, features: Features, images: np.ndarray) -> None:
        self.images = images
        self._features = features
        self._index = NearestNeighbors().fit(features(images))

    def __len__(self) -> int:
        return len(self.images)

    def nearest(self, image: np.ndarray, count: int) -> np.ndarray:
        """Return the `count` images nearest to a prepared one `(1, *image_shape)`, the nearest first."""
        count = min(count, len(self))
        found = self._index.kneighbors(self._features(image), count, return_distance=False)
        return np.asarray(self.images[found[0]])


def features_of(detector: Detector) -> Features | None:
    """Return what maps prepared images to the features in which a detector compares them, None where it has none."""
    if isinstance(detector, TiltedVAE):
        return lambda images: detector.posterior_parameters(images)[0]
    if isinstance(detector, InFlow) and isinstance(detector.attention, PerImageGate):
        return lambda images: encode(detector.attention.encoder, images)
    return None
