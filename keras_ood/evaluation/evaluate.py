"""Measure a detector on in-distribution against out-of-distribution images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_ood import scores
from keras_ood.calibration import NOMINAL_FPR
from keras_ood.datasets.named import named_images
from keras_ood.evaluation.metrics import bootstrap_metrics
from keras_ood.evaluation.report import Report, Row
from keras_ood.models import Detector


def evaluate(
    detector: Detector,
    in_distribution: Any,
    out_of_distribution: Mapping[str, Any],
    methods: Sequence[str] | None = None,
    *,
    resamples: int = 100,
    **options: Any,
) -> Report:
    """Score both sides along the same path and compare.

    Args:
        detector: Any detector; it need not be calibrated.
        in_distribution: Images held out of training, any accepted source; a name of `keras_ood.datasets.DATASETS` stands for
            its whole test split.
        out_of_distribution: `{name: images}`, images as above; None for a data set or synthetic set of that name (synthetic
            sets need `in_distribution` as an array or name).
        methods: Scores to compare; None for all cheap ones that the detector has, without those that need a calibration which
            it lacks.
        resamples: Number of resamples of the bootstrap; 0 for no intervals.
        **options: Options of `Detector.statistics`.
    """
    inside = named_images(in_distribution)
    methods = [scores.get(name).name for name in methods or detector.ready_scores()]
    statistics = {"in_distribution": detector.statistics(inside, methods=methods, **options)}
    rows = []
    for name, images in out_of_distribution.items():
        outside = named_images(name if images is None else images, inside)
        statistics[name] = detector.statistics(outside, methods=methods, **options)
        for method in methods:
            in_scores, out_scores = (detector.score_statistics(statistics[key], method) for key in ("in_distribution", name))
            metrics = bootstrap_metrics(in_scores, out_scores, resamples)
            rows.append(Row(name, method, len(in_scores), len(out_scores), **metrics))
    return Report(rows, statistics)


def headline(detector: Detector, report: Report) -> dict[str, Any]:
    """Return what `preset.json` says of a report: false alarms at 5 %, and the AUROC of the default score on each set."""
    flagged = detector.score_statistics(report.statistics["in_distribution"]) > detector.threshold(NOMINAL_FPR)
    return {
        "false_positive_rate": {"nominal": NOMINAL_FPR, "measured": float(np.mean(flagged)), "images": len(flagged)},
        "auroc": {
            row.out_of_distribution: round(row.auroc.value, 5) for row in report.rows if row.method == detector.default_score
        },
    }
