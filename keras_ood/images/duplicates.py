"""Images that a set holds twice, or nearly."""

import hashlib
import warnings

import numpy as np

from keras_ood.images.image_warning import ImageWarning

_CELLS = 8  # a thumbnail's side
_LOOKED_AT = 1_000  # images whose nearest other one is searched
_NEAR = 0.07
"""Of the median distance between two images: a nearest other image that is nearer than this is a near-duplicate.

Of 5,000 images of MNIST, Fashion-MNIST and CIFAR-10, 8 to 32 pixels wide, at most 1.1 % have one; of GTSRB's frames 19 %.
"""
_MANY = 0.05  # share of near-duplicates that is worth a warning


class Duplicates:
    """Tells exact and near-duplicates among images that pass by, `_CELLS**2 + 40` bytes an image kept.

    Args:
        near: Whether near-duplicates are asked for; features, of which all is kept for that, take less memory without.

    Attributes:
        seen: Number of images so far.
    """

    def __init__(self, near: bool = True) -> None:
        self.seen = 0
        self._near = near
        self._first: dict[bytes, int] = {}
        self._thumbnails: list[np.ndarray] = []

    def add(self, images: np.ndarray) -> None:
        """Look at a batch, `(n, height, width, channels)` or features `(n, width)`, of one dtype and range for all."""
        for image in images:
            self._first.setdefault(hashlib.sha256(image.tobytes()).digest(), self.seen)
            self.seen += 1
        if self._near:
            self._thumbnails.append(_thumbnails(images))

    @property
    def first(self) -> np.ndarray:
        """Indices of the different images, each where it came first, in order."""
        return np.fromiter(self._first.values(), np.int64, len(self._first))

    def near_share(self) -> float:
        """Return the share of the different images that have a near-duplicate among them, judged by at most 1,000 of them."""
        from sklearn.neighbors import NearestNeighbors  # here: `import keras_ood` needs no scikit-learn

        thumbnails = np.concatenate(self._thumbnails)[self.first].astype(np.float32)
        if len(thumbnails) < 3:
            return 0.0
        looked_at = thumbnails[np.linspace(0, len(thumbnails) - 1, min(len(thumbnails), _LOOKED_AT)).astype(int)]
        distances, _ = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(thumbnails).kneighbors(looked_at)
        others = np.random.default_rng(0).permutation(thumbnails)[: len(looked_at)]
        typical = np.median(np.linalg.norm(looked_at - others, axis=1))
        return float(np.mean(distances[:, 1] < _NEAR * typical))

    def warn(self) -> None:
        """Warn of images of a calibration that depend on each other: of those left out, and of many near-duplicates."""
        if left_out := self.seen - len(self._first):
            warnings.warn(
                f"Calibration left out {left_out} of {self.seen} images: duplicates of others", ImageWarning, stacklevel=3
            )
        if (share := self.near_share()) >= _MANY:
            warnings.warn(
                f"{share:.0%} of the calibration images are nearly equal to another one, as frames of a video are. Calibrate "
                "on images that were taken apart from each other: p-values promise nothing for others",
                ImageWarning,
                stacklevel=3,
            )


def _thumbnails(images: np.ndarray) -> np.ndarray:
    """Means over at most 8x8 cells of the grey images, `(n, cells)`, 256 levels of what `images` (0..1) span; features."""
    if images.ndim == 2:
        return images.astype(np.float16)
    grey = images.mean(axis=-1, dtype=np.float32)
    count, height, width = grey.shape
    rows, columns = min(_CELLS, height), min(_CELLS, width)
    tall, wide = height // rows, width // columns
    cells = grey[:, : rows * tall, : columns * wide].reshape(count, rows, tall, columns, wide).mean(axis=(2, 4))
    return np.asarray(np.round(255 * cells), np.uint8).reshape(count, -1)
