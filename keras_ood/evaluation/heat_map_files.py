"""Heat maps on disk, as `keras-ood score --heat-maps` writes them."""

import os
import re
from collections.abc import Iterator, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from keras_ood.calibration import NOMINAL_FPR
from keras_ood.images.sources import count_images, iterate_batches
from keras_ood.models import Detector
from keras_ood.models.localising import BATCH
from keras_ood.plots import overlay
from keras_ood.terminal.folders import require_vacant
from keras_ood.terminal.printable import as_text
from keras_ood.terminal.progress import track_images

_SUFFIX = re.compile(r"(?<=[^/])\.[^./\[]*(\[\d+\])?$")  # of a.png, of many.tif[3]


class HeatMapFiles:
    """A folder with two files for each image, both of the detector's `image_shape` and over the image as it prepares it.

    - `NAME.png`: the picture, see `keras_ood.plots.overlay`.
    - `NAME.tiff`: the p-values of `Detector.heat_map`, one page of grey 32-bit floats, deflated without loss.

    `NAME` is the image's path below the deepest folder that holds all of them, without its suffix: `test/crack/003` of
    `test/crack/003.jpg`, `many[2]` of the third frame of `many.tif`, `images[2]` of the third image of `images.npy`. A further
    image of the same name, whose path has another suffix, is `NAME-2`, and so on.

    Args:
        detector: Whose maps are calibrated.
        folder: Absent, or empty.
        given: The folders and files that the images come from.
        fpr: The false positive rate to hold.

    Raises:
        NotCalibratedError: The detector has no calibrated maps.
        FileExistsError: The folder holds something.
        ValueError: A false positive rate that is out of reach of the number of calibration images.
    """

    def __init__(self, detector: Detector, folder: Path, given: Sequence[str], fpr: float = NOMINAL_FPR) -> None:
        detector.calibrated.maps.largest.threshold(fpr)
        require_vacant(folder, "Heat maps need")
        self._detector, self._folder, self._fpr = detector, folder, fpr
        paths = [os.path.abspath(path) for path in given]
        self._top = as_text(os.path.commonpath([path if os.path.isdir(path) else os.path.dirname(path) for path in paths]))

    def iterate(
        self, images: Any, method: str | None = None, batch_size: int = BATCH
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Yield `(scores, p_values, prepared images, heat maps)` batch by batch, each image read once.

        Args:
            images: Any accepted source.
            method: As in `Detector.iterate_p_values`.
            batch_size: Images per pass, at most; maps are large, and more than 32 are never held.
        """
        detector, batch_size = self._detector, min(batch_size, BATCH)
        options: dict[str, Any] = {"batch_size": batch_size, "progress": False}
        batches = iterate_batches(images, batch_size, detector.preprocessing)
        for batch in track_images(batches, count_images(images), None):
            prepared = keras.ops.convert_to_numpy(detector.preprocessing(batch))
            for scores, p_values in detector.iterate_p_values(prepared, method, **options):
                yield scores, p_values, prepared, detector.heat_map(prepared, **options)

    def write(self, names: Sequence[str], images: np.ndarray, heat_maps: np.ndarray) -> None:
        """Write the files of images by their paths as `keras_ood.tables.score_table.Names` has them."""
        for name, image, heat_map in zip(names, images, heat_maps, strict=True):
            base = self._vacant(_SUFFIX.sub(r"\1", Path(os.path.relpath(name, self._top)).as_posix()))
            base.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(overlay(image, heat_map, self._fpr)).save(f"{base}.png")
            Image.fromarray(heat_map).save(f"{base}.tiff", compression="tiff_adobe_deflate")

    def _vacant(self, name: str) -> Path:
        names = chain([name], (f"{name}-{number}" for number in count(2)))
        return next(self._folder / each for each in names if not (self._folder / f"{each}.tiff").exists())
