"""Measure how well a detector finds defects whose masks are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_ood.calibration import NOMINAL_FPR
from keras_ood.datasets.masked import GOOD, MaskedImages
from keras_ood.evaluation.localisation import localisation
from keras_ood.images import Decoding, ImageFiles
from keras_ood.models import Detector
from keras_ood.models.localising import BATCH

ALL = "all"
"""The row of all kinds of defects together."""


@dataclass(frozen=True)
class MaskRow:
    """One kind of defect against the clean test images.

    Attributes:
        defect: The kind, or `ALL`.
        images: Number of test images with it.
        clean_images: Number of test images without a defect.
        image_auroc: See `keras_ood.evaluation.localisation`; None where no test image is clean.
        pixel_auroc: As above.
        pro: As above, up to a false positive rate of 0.3.
        flagged: Share of `images` whose heat map has a p-value of at most the nominal false positive rate anywhere; None where
            maps are not calibrated.
        clean_flagged: The same of the clean images: false alarms. None where there are no such images, too.
    """

    defect: str
    images: int
    clean_images: int
    image_auroc: float | None
    pixel_auroc: float
    pro: float
    flagged: float | None
    clean_flagged: float | None


def evaluate_masks(
    detector: Detector,
    masked: MaskedImages,
    *,
    fpr: float = NOMINAL_FPR,
    decoding: Decoding | None = None,
    batch_size: int = BATCH,
    progress: bool | None = None,
) -> list[MaskRow]:
    """Return how well a detector's maps of the test images agree with their masks, at the detector's `image_shape`.

    Args:
        detector: Any detector; without `calibrate_maps` its maps are compared as they are, and nothing is said of flags.
        masked: As `keras_ood.datasets.masked_images` returns them.
        fpr: The false positive rate to hold.
        decoding: How files become images.
        batch_size: As in `Detector.score_map`.
        progress: As in `Detector.statistics`.

    Returns:
        A row for each kind of defect, in their order, then one of `ALL`.

    Raises:
        ValueError: Images or masks that cannot be read, or no test image with a defect.
    """
    if not any(file is not None for file in masked.mask_files):
        raise ValueError(f"Expected test images with defects. Received: {len(masked.test)} of the kinds {set(masked.kinds)}")
    masks = masked.masks(detector.image_shape[:2], detector.preprocessing.aspect)
    images = ImageFiles(masked.test, decoding=decoding)
    return mask_rows(detector, images, masks, masked.kinds, fpr=fpr, batch_size=batch_size, progress=progress)


def mask_rows(
    detector: Detector,
    images: Any,
    masks: np.ndarray,
    kinds: Sequence[str],
    *,
    fpr: float = NOMINAL_FPR,
    batch_size: int = BATCH,
    progress: bool | None = None,
) -> list[MaskRow]:
    """Return what `evaluate_masks` does of images, bool masks `(N, height, width)` and the kind of defect of each."""
    maps = detector.fine_map(images, batch_size, progress)
    calibrated = detector.calibrated
    flags = calibrated.maps.p_values(maps.max(axis=(1, 2))) <= fpr if calibrated.has_maps else None
    names = np.array(kinds)
    clean = names == GOOD

    def share(chosen: np.ndarray) -> float | None:
        return None if flags is None or not chosen.any() else float(flags[chosen].mean())

    rows = []
    for kind in [*dict.fromkeys(names[~clean].tolist()), ALL]:
        defect = ~clean if kind == ALL else names == kind
        found = localisation(maps[defect | clean], masks[defect | clean])
        rows.append(
            MaskRow(
                defect=kind,
                images=int(defect.sum()),
                clean_images=int(clean.sum()),
                image_auroc=found.get("image_auroc"),
                pixel_auroc=found["pixel_auroc"],
                pro=found["pro"],
                flagged=share(defect),
                clean_flagged=share(clean),
            )
        )
    return rows
