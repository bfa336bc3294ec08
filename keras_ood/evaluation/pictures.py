"""Pictures on disk, as `keras-ood evaluate --plots` and `keras-ood demo` write them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from keras_ood import plots
from keras_ood.calibration import NOMINAL_FPR
from keras_ood.datasets import MaskedImages
from keras_ood.evaluation.report import Report
from keras_ood.images import Decoding, ImageFiles
from keras_ood.images.sources import gather
from keras_ood.models import Detector


def save_report(detector: Detector, report: Report, method: str | None, folder: Path) -> list[Path]:
    """Write ROC curves and score histograms of one score, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    scores = {name: detector.score_statistics(values, method) for name, values in report.statistics.items()}
    inside = scores.pop("in_distribution")
    calibrated = (method or detector.default_score) in detector.calibrated_scores()
    comparable = calibrated and detector.passes(method).samples is None  # as the report's scores are unless asked otherwise
    threshold = detector.threshold(NOMINAL_FPR, method) if comparable else None
    figures = {
        "roc.png": plots.roc_curves(inside, scores),
        "scores.png": plots.score_histograms(inside, scores, threshold),
    }
    return save_figures(figures, folder)


def save_overlays(
    detector: Detector, masked: MaskedImages, folder: Path, decoding: Decoding | None = None, count: int = 32
) -> list[Path]:
    """Write the heat maps of test images with masks, `count` spread over all kinds, over the images; return the path.

    Raises:
        NotCalibratedError: The detector has no calibrated maps.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chosen = np.unique(np.linspace(0, len(masked.test) - 1, count).astype(int))
    files = ImageFiles([masked.test[index] for index in chosen], decoding=decoding)
    images = gather(files, detector.preprocessing)
    masks = masked.masks(detector.image_shape[:2], detector.preprocessing.aspect)[chosen]
    return save_figures({"heat-maps.png": plots.overlays(images, detector.heat_map(images), masks=masks)}, folder)


def save_figures(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write `{file name: figure}` to a folder that exists, and return the paths."""
    for name, figure in figures.items():
        figure.savefig(folder / name)
    return [folder / name for name in figures]
