"""The in-distribution images that are most like an image, in the eyes of its detector."""

import numpy as np
from sklearn.neighbors import NearestNeighbors


class Neighbours:
    """In-distribution images with the features in which their detector compares them, by Euclidean distance.

    Args:
        features: `(N, features)` of the images, see `keras_ood.Detector.features`.
        images: `(N, *image_shape)`.
    """

    def __init__(self, features: np.ndarray, images: np.ndarray) -> None:
        self.images = images
        self._index = NearestNeighbors().fit(features)

    def __len__(self) -> int:
        return len(self.images)

    def nearest(self, features: np.ndarray, count: int) -> np.ndarray:
        """Return the `count` images nearest to one of these features `(1, features)`, the nearest first."""
        found = self._index.kneighbors(features, min(count, len(self)), return_distance=False)
        return np.asarray(self.images[found[0]])
