"""Other ways to say where an image is odd, over the same local features: PatchCore, PaDiM, and a normal distribution.

Each is made from the features of in-distribution images `(N, h, w, channels)` and gives maps `(N, h, w)` of others, higher =
more anomalous. `images` is a score of each image, of the maps and of what they are after smoothing, `fine`.
"""

from functools import partial

import numpy as np
from sklearn.covariance import ledoit_wolf

SMOOTHING = 4 / 192  # of the side: a Gaussian's deviation of 4 pixels of what the encoder sees
_IMAGES = 8  # images of which all distances to a coreset are held at once


class PatchCore:
    """Distance of each position to the nearest of a coreset of positions.

    With `d*` the largest of an image, at position `x` with the nearest centre `m`, and `m_1 .. m_b` the `b` centres nearest to
    `m`, itself among them:

        score of the image   (1 - exp(d*) / sum_k exp(|x - m_k|)) d*

    Source: Roth et al., "Towards Total Recall in Industrial Anomaly Detection", arXiv 2106.08265. The coreset is a tenth of
    20,000 positions in place of a tenth of all.
    """

    smoothing = SMOOTHING

    def __init__(
        self, features: np.ndarray, seed: int = 0, positions: int = 20_000, share: float = 0.1, nearest: int = 9
    ) -> None:
        """Choose the coreset."""
        generator = np.random.default_rng(seed)
        some = _positions(features, positions, generator)
        projected = some @ generator.normal(0, 128**-0.5, (some.shape[1], 128)).astype(np.float32)
        self.centres = some[coreset(projected, max(nearest, int(share * len(some))))]
        between = _squared_distances(self.centres, self.centres)
        self.neighbours = np.argsort(between, axis=1)[:, :nearest]

    @property
    def numbers(self) -> int:
        """How many numbers it keeps."""
        return int(self.centres.size)

    def maps(self, features: np.ndarray) -> np.ndarray:
        """Return the distances `(N, h, w)`."""
        return np.concatenate([self._nearest(part)[0] for part in _parts(features)])

    def _nearest(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        squared = _squared_distances(features.reshape(-1, features.shape[-1]), self.centres)
        nearest = squared.argmin(axis=1)
        distances = np.sqrt(np.take_along_axis(squared, nearest[:, None], axis=1))
        return distances.reshape(features.shape[:3]), nearest.reshape(features.shape[:3])

    def images(self, features: np.ndarray, maps: np.ndarray, fine: np.ndarray) -> np.ndarray:
        """Return the reweighted largest distance of each image, `(N,)`."""
        flat = maps.reshape(len(maps), -1)
        oddest = flat.argmax(axis=1)
        points = features.reshape(*flat.shape, -1)[np.arange(len(flat)), oddest]
        _, nearest = self._nearest(points[:, None, None])
        around = self.centres[self.neighbours[nearest[:, 0, 0]]]  # (N, nearest, channels)
        largest, others = flat.max(axis=1), np.linalg.norm(points[:, None] - around, axis=-1)
        return np.asarray((1 - 1 / np.exp(others - largest[:, None]).sum(axis=1)) * largest)

    def standardised_images(self, maps: np.ndarray, fine: np.ndarray) -> np.ndarray:
        """Return the same of standardised maps: their largest value before smoothing."""
        return np.asarray(maps.max(axis=(1, 2)))


class _ByLargest:
    """What scores an image by the largest value of its smoothed map."""

    smoothing = SMOOTHING

    def images(self, features: np.ndarray, maps: np.ndarray, fine: np.ndarray) -> np.ndarray:
        """Return the largest value of each smoothed map, `(N,)`."""
        return np.asarray(fine.max(axis=(1, 2)))

    def standardised_images(self, maps: np.ndarray, fine: np.ndarray) -> np.ndarray:
        """Return the same of standardised maps."""
        return np.asarray(fine.max(axis=(1, 2)))


class PaDiM(_ByLargest):
    """Mahalanobis distance from a normal distribution at each position, of 100 random channels; covariance + 0.01 I.

    Source: Defard et al., "PaDiM", arXiv 2011.08785.
    """

    def __init__(self, features: np.ndarray, seed: int = 0, channels: int = 100, ridge: float = 0.01) -> None:
        """Fit mean and covariance at each position."""
        count = features.shape[-1]
        self.chosen = np.sort(np.random.default_rng(seed).permutation(count)[: min(channels, count)])
        self.grid = features.shape[1:3]
        at_positions = self._of_positions(features)
        self.mean = at_positions.mean(axis=1, keepdims=True)  # (positions, 1, channels)
        centred = at_positions - self.mean
        covariance = centred.swapaxes(1, 2) @ centred / (len(features) - 1) + ridge * np.eye(len(self.chosen))
        inverse_root = np.linalg.inv(np.linalg.cholesky(covariance.astype(np.float64))).swapaxes(1, 2)
        self.whitening = inverse_root.astype(np.float32)  # (positions, channels, channels)

    def _of_positions(self, features: np.ndarray) -> np.ndarray:
        chosen = features[..., self.chosen].reshape(len(features), -1, len(self.chosen))
        return np.ascontiguousarray(chosen.swapaxes(0, 1))

    @property
    def numbers(self) -> int:
        """How many numbers it keeps."""
        return int(self.mean.size + self.whitening.size)

    def maps(self, features: np.ndarray) -> np.ndarray:
        """Return the distances `(N, h, w)`."""
        whitened = (self._of_positions(features) - self.mean) @ self.whitening
        return np.asarray(np.linalg.norm(whitened, axis=-1).T.reshape(-1, *self.grid))


class OneNormal(_ByLargest):
    """Mahalanobis distance from one normal distribution of all positions, its covariance shrunk as Ledoit and Wolf do."""

    def __init__(self, features: np.ndarray, seed: int = 0, positions: int = 50_000) -> None:
        """Fit mean and covariance."""
        some = _positions(features, positions, np.random.default_rng(seed)).astype(np.float64)
        self.mean = some.mean(axis=0)
        covariance = ledoit_wolf(some - self.mean, assume_centered=True)[0]
        self.whitening = np.linalg.inv(np.linalg.cholesky(covariance)).T.astype(np.float32)
        self.mean = self.mean.astype(np.float32)

    @property
    def numbers(self) -> int:
        """How many numbers it keeps."""
        return int(self.mean.size + self.whitening.size)

    def maps(self, features: np.ndarray) -> np.ndarray:
        """Return the distances `(N, h, w)`."""
        found = [np.linalg.norm((part - self.mean) @ self.whitening, axis=-1) for part in _parts(features)]
        return np.concatenate(found)


PEERS = {"PatchCore": PatchCore, "PaDiM": PaDiM, "one normal distribution": OneNormal}


def coreset(points: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of `count` points, each the farthest from those before: a greedy cover, the first point first."""
    lengths = np.square(points).sum(axis=1)
    chosen = np.zeros(count, int)
    apart = partial(_squared_distance_to, points, lengths)
    nearest = apart(0)
    for place in range(1, count):
        chosen[place] = nearest.argmax()
        nearest = np.minimum(nearest, apart(chosen[place]))
    return chosen


def _squared_distance_to(points: np.ndarray, lengths: np.ndarray, index: int) -> np.ndarray:
    return np.asarray(lengths + lengths[index] - 2 * (points @ points[index]))


def _squared_distances(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    products = points @ (-2 * centres.T)
    products += np.square(centres).sum(axis=1)
    products += np.square(points).sum(axis=1)[:, None]
    return np.asarray(np.maximum(products, 0, out=products))


def _positions(features: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    flat = features.reshape(-1, features.shape[-1])
    return np.asarray(flat[generator.permutation(len(flat))[:most]])


def _parts(features: np.ndarray) -> list[np.ndarray]:
    return [features[start : start + _IMAGES] for start in range(0, len(features), _IMAGES)]
