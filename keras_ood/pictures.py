"""Pictures on disk, as `keras-ood evaluate --plots` and `keras-ood demo` write them."""

from pathlib import Path

from keras_ood import plots
from keras_ood.evaluation import Report
from keras_ood.models import Detector

FPR = 0.05


def save_report(detector: Detector, report: Report, method: str | None, folder: Path) -> list[Path]:
    """Write ROC curves and score histograms of one score, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    scores = {name: detector.score_statistics(values, method) for name, values in report.statistics.items()}
    inside = scores.pop("in_distribution")
    threshold = detector.threshold(FPR, method) if detector.calibrated_scores() else None
    figures = {
        "roc.png": plots.roc_curves(inside, scores),
        "scores.png": plots.score_histograms(inside, scores, threshold),
    }
    for name, figure in figures.items():
        figure.savefig(folder / name)
    return [folder / name for name in figures]
