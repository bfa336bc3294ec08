"""Where a detector finds an image odd: maps of scores, and heat maps of p-values."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from keras import ops

from keras_ood.backend.settings import under_own_settings
from keras_ood.calibration.calibrated_scores import CalibratedScores
from keras_ood.calibration.map_calibration import MapCalibration
from keras_ood.images.duplicates import Duplicates
from keras_ood.images.no_images import at_least_one
from keras_ood.images.preprocessing import interpolate
from keras_ood.models.portable import Portable
from keras_ood.models.statistics_pass import StatisticsPass

BATCH = 32  # images: maps are large


class Localising(Portable):
    """The part of a detector that says where: scores at positions, and p-values of them against held-out images."""

    image_shape: tuple[int, int, int]
    statistics_pass: StatisticsPass

    def score_map(self, images: Any, batch_size: int = BATCH, progress: bool | None = None) -> np.ndarray:
        """Return scores at the positions of each image, float32 `(N, h, w)`, higher = more out-of-distribution.

        What is scored, and how fine the grid is, is said by the family's `position_scores`.

        Args:
            images: Any accepted source; embeddings where they are of positions, see `keras_ood.encoders.MapEncoder`.
            batch_size: Images per pass.
            progress: As in `statistics`.

        Raises:
            ValueError: Images that are not accepted.
        """
        return np.concatenate(at_least_one(self.statistics_pass.maps(images, batch_size, progress)))

    def calibrate_maps(self, images: Any, batch_size: int = BATCH, progress: bool | None = None) -> int:
        """Keep what the maps of held-out in-distribution images look like, in place of what was kept before.

        Each image counts once, as in `calibrate`, and the calibration belongs to the weights as they are.

        Args:
            images: Any accepted source of at least 40 different images that were not trained on.
            batch_size: As in `score_map`.
            progress: As in `statistics`.

        Returns:
            The number of different images.

        Raises:
            ValueError: Too few images.
        """
        duplicates = Duplicates()
        maps = np.concatenate(at_least_one(self.statistics_pass.maps(images, batch_size, progress, look=duplicates.add)))
        different = self._keep_maps(maps[duplicates.first])
        duplicates.warn()
        return different

    def _keep_maps(self, maps: np.ndarray) -> int:
        weights = self.weights_digest()
        made = CalibratedScores(weights=weights, maps=MapCalibration.of(maps))
        self._calibrated = self._calibrated.for_weights(weights).updated(made)
        return len(maps)

    def heat_map(self, images: Any, batch_size: int = BATCH, progress: bool | None = None) -> np.ndarray:
        """Return conformal p-values at every pixel, float32 `(N, height, width)` of `image_shape`; small = odd there.

        `heat_map(images) <= fpr` lights up anywhere in at most a share `fpr` of in-distribution images, see
        `keras_ood.calibration.map_calibration.MapCalibration`; the map of a normal image stays dark. Between the positions of
        the grid scores are interpolated, never above the largest.

        Args:
            images: As in `score_map`.
            batch_size: As in `score_map`.
            progress: As in `statistics`.

        Raises:
            NotCalibratedError: `calibrate_maps` has not run since the weights last changed.
        """
        return np.concatenate(at_least_one(self.iterate_heat_maps(images, batch_size, progress)))

    def iterate_heat_maps(self, images: Any, batch_size: int = BATCH, progress: bool | None = None) -> Iterator[np.ndarray]:
        """Yield what `heat_map` returns batch by batch: memory does not grow with the number of images."""
        calibration = self.calibrated.maps
        fine = self._fine(calibration, images, batch_size, progress)
        return (calibration.p_values(scores).astype(np.float32) for scores in fine)

    def fine_map(self, images: Any, batch_size: int = BATCH, progress: bool | None = None) -> np.ndarray:
        """Return the scores behind `heat_map`, float32 `(N, height, width)` of `image_shape`: they compare where p-values tie.

        Those of `score_map`, standardised where `calibrate_maps` has run, interpolated between the positions of the grid.

        Args:
            images: As in `score_map`.
            batch_size: As in `score_map`.
            progress: As in `statistics`.
        """
        calibrated = self.calibrated
        kept = calibrated.maps if calibrated.has_maps else None
        return np.concatenate(at_least_one(self._fine(kept, images, batch_size, progress)))

    def _fine(
        self, calibration: MapCalibration | None, images: Any, batch_size: int, progress: bool | None
    ) -> Iterator[np.ndarray]:
        for maps in self.statistics_pass.maps(images, batch_size, progress):
            yield self._resized(maps if calibration is None else calibration.standardised(maps))

    @under_own_settings
    def _resized(self, maps: np.ndarray) -> np.ndarray:
        return np.asarray(
            ops.convert_to_numpy(interpolate(ops.convert_to_tensor(maps[..., None]), self.image_shape[:2]))[..., 0]
        )
