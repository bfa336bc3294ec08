"""One set of images cut into the parts that an honest training needs."""

from dataclasses import dataclass, field

import numpy as np

from keras_ood.images.duplicates import Duplicates
from keras_ood.images.embeddings import Embeddings

MINIMUM = 100  # images
_CALIBRATION, _OTHER = (0.2, 40, 5_000), (0.1, 20, 2_000)  # share, least and largest number
_EMBEDDINGS = 200_000  # to train on, at most: they are held in memory
_BATCH = 4_096

Seen = np.ndarray | Embeddings
"""Images as a detector's networks see them: prepared, `(N, height, width, channels)`, or the features of its encoder."""


@dataclass(frozen=True)
class Split:
    """Four parts of a set of images, no image in two of them.

    Attributes:
        training: For the weights: what the others leave, 60 % unless the set is small or large; of embeddings 200,000 at most.
        validation: For the moment to stop.
        calibration: For p-values; nothing is chosen by these.
        test: For the numbers on the card; nothing at all is decided by these.
        duplicates: How many images were left out because the set held them before.
        test_places: Where in the set the test part is.
        calibration_places: Where the calibration part is.
    """

    training: Seen
    validation: Seen
    calibration: Seen
    test: Seen
    duplicates: int
    test_places: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    calibration_places: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    @classmethod
    def of(cls, images: Seen, seed: int = 0, calibrations: int = 1, groups: np.ndarray | None = None) -> "Split":
        """Cut a set in four at random: 20 % for calibration, 10 % each for validation and test.

        Args:
            images: Images `(N, height, width, channels)` or embeddings, at least 100 different ones. Images that depend on each
                other (frames of one video) make the held-out parts look better than new images will, unless `groups` says so.
            seed: Seed of the shuffle.
            calibrations: How many calibrations share that part, each with as many images as one would get.
            groups: Labels `(N,)`, equal for images that belong together and go into one part, whole. Parts are then as large as
                the groups let them be.

        Raises:
            ValueError: Too few images, or groups that leave nothing to train on.
        """
        first = distinct(images)
        required = MINIMUM * calibrations
        if len(first) < required:
            raise ValueError(f"A split takes at least {required} different images. Received: {len(first)}, of {len(images)}")
        rng = np.random.default_rng(seed)
        order = rng.permutation(first) if groups is None else _shuffled(first, groups, rng)
        sizes = [calibrations * _size(len(first), *_CALIBRATION), _size(len(first), *_OTHER), _size(len(first), *_OTHER)]
        cuts = np.cumsum(sizes) if groups is None else _whole(groups[order], np.cumsum(sizes))
        calibration, validation, test, training = np.split(order, cuts)
        duplicates = len(images) - len(first)
        if isinstance(images, Embeddings):
            training = training[:_EMBEDDINGS]
        return cls(images[training], images[validation], images[calibration], images[test], duplicates, test, calibration)


def distinct(images: Seen) -> np.ndarray:
    """Return the indices of the different images, each where it came first, in order."""
    duplicates = Duplicates(near=False)
    for start in range(0, len(images), _BATCH):
        part = images[start : start + _BATCH]
        duplicates.add(part.values() if isinstance(part, Embeddings) else part)
    return duplicates.first


def _shuffled(places: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Places of images, group by group in a random order."""
    names, of_image = np.unique(groups[places], return_inverse=True)
    return places[np.argsort(rng.permutation(len(names))[of_image], kind="stable")]


def _whole(groups: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Cuts moved on to the ends of groups; each part has one at least, training half of what it has without groups.

    Raises:
        ValueError: There are no such cuts.
    """
    ends = np.append(np.flatnonzero(groups[1:] != groups[:-1]) + 1, len(groups))
    places = np.searchsorted(ends, cuts)
    for number in range(1, len(places)):
        places[number] = max(places[number], places[number - 1] + 1)
    if places[-1] >= len(ends) or len(groups) - ends[places[-1]] < (len(groups) - cuts[-1]) / 2:
        raise ValueError(
            "Images are cut in four by groups, and too few are left for training: that takes more groups, or smaller ones. "
            f"Received: {len(ends)} groups of {np.diff(ends, prepend=0).min()} to {np.diff(ends, prepend=0).max()} images"
        )
    return ends[places]


def _size(images: int, share: float, least: int, largest: int) -> int:
    return min(max(round(share * images), least), largest)
