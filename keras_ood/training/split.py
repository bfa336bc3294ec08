"""One folder of images cut into the parts that an honest training needs."""

from dataclasses import dataclass

import numpy as np

from keras_ood.images.duplicates import Duplicates

MINIMUM = 100  # images
_CALIBRATION, _OTHER = (0.2, 40, 5_000), (0.1, 20, 2_000)  # share, least and largest number


@dataclass(frozen=True)
class Split:
    """Four parts of a set of images, no image in two of them.

    Attributes:
        training: For the weights: what the others leave, 60 % unless the set is small or large.
        validation: For the moment to stop.
        calibration: For p-values; nothing is chosen by these.
        test: For the numbers on the card; nothing at all is decided by these.
        duplicates: How many images were left out because the set held them before.
    """

    training: np.ndarray
    validation: np.ndarray
    calibration: np.ndarray
    test: np.ndarray
    duplicates: int

    @classmethod
    def of(cls, images: np.ndarray, seed: int = 0, calibrations: int = 1) -> "Split":
        """Cut a set in four at random: 20 % for calibration, 10 % each for validation and test.

        Args:
            images: `(N, height, width, channels)`, at least 100 different ones. Images that depend on each other (frames of one
                video) make the held-out parts look better than new images will.
            seed: Seed of the shuffle.
            calibrations: How many calibrations share that part, each with as many images as one would get.

        Raises:
            ValueError: Too few images.
        """
        duplicates = Duplicates()
        duplicates.add(images)
        first = duplicates.first
        required = MINIMUM * calibrations
        if len(first) < required:
            raise ValueError(f"A split takes at least {required} different images. Received: {len(first)}, of {len(images)}")
        order = np.random.default_rng(seed).permutation(first)
        sizes = [calibrations * _size(len(first), *_CALIBRATION), _size(len(first), *_OTHER), _size(len(first), *_OTHER)]
        calibration, validation, test, training = np.split(images[order], np.cumsum(sizes))
        return cls(training, validation, calibration, test, len(images) - len(first))


def _size(images: int, share: float, least: int, largest: int) -> int:
    return min(max(round(share * images), least), largest)
