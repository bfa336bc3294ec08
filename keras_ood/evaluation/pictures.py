"""Pictures on disk, as `keras-ood evaluate --plots` and `keras-ood demo` write them."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from keras_ood import plots
from keras_ood.calibration import NOMINAL_FPR
from keras_ood.evaluation.report import Report
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


def save_figures(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write `{file name: figure}` to a folder that exists, and return the paths."""
    for name, figure in figures.items():
        figure.savefig(folder / name)
    return [folder / name for name in figures]
