"""Measure a detector on in-distribution against out-of-distribution images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_ood import scores
from keras_ood.calibration import NOMINAL_FPR
from keras_ood.calibration.calibrated_scores import Passes
from keras_ood.datasets.named import IN_DISTRIBUTION, check_names, named_images, named_sets
from keras_ood.evaluation.metrics import bootstrap_metrics, check_resamples
from keras_ood.evaluation.report import Report, Row
from keras_ood.models import Detector


def evaluate(
    detector: Detector,
    in_distribution: Any,
    out_of_distribution: Any,
    methods: Sequence[str] | str | None = None,
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
            sets need `in_distribution` as an array or name). Also a name or path, a list of them, or images alone, which the
            report names `out_of_distribution`.
        methods: Scores to compare, or one; None for all cheap ones that the detector has, without those that need a
            calibration which it lacks.
        resamples: Number of resamples of the bootstrap; 0 for no intervals.
        **options: Options of `Detector.statistics`.

    Raises:
        ValueError: No set to compare with, or one named `in_distribution`; a name that stands for nothing; a score that the
            detector lacks; scores that are not finite.
        NotCalibratedError: One of `methods` must be fitted, and `calibrate` has not run.
    """
    check_resamples(resamples)
    check_names([in_distribution])
    sets = named_sets(out_of_distribution)
    given = [methods] if isinstance(methods, str) else methods
    methods, passes = _comparable(detector, given, options)
    options |= passes._asdict()
    inside = named_images(in_distribution)
    statistics = {IN_DISTRIBUTION: detector.statistics(inside, methods=methods, **options)}
    for name, images in sets.items():
        statistics[name] = detector.statistics(named_images(images, inside), methods=methods, **options)
    return compare(detector, statistics, methods, resamples=resamples)


def compare(
    detector: Detector, statistics: dict[str, dict[str, np.ndarray]], methods: Sequence[str], *, resamples: int = 100
) -> Report:
    """Compare in-distribution with out-of-distribution statistics that are at hand.

    Args:
        detector: Whose scores they become.
        statistics: `{set name: {statistic: (N,)}}`, the in-distribution set under the name `in_distribution`.
        methods: Scores to compare.
        resamples: As in `evaluate`.

    Raises:
        ValueError: Scores that are not finite.
    """
    in_scores = {method: detector.score_statistics(statistics[IN_DISTRIBUTION], method) for method in methods}
    rows = []
    for name in statistics:
        if name == IN_DISTRIBUTION:
            continue
        for method in methods:
            out_scores = detector.score_statistics(statistics[name], method)
            try:
                metrics = bootstrap_metrics(in_scores[method], out_scores, resamples)
            except ValueError as error:
                raise ValueError(f"{error}: score {method!r} on {name!r}") from error
            rows.append(Row(name, method, len(in_scores[method]), len(out_scores), **metrics))
    return Report(rows, statistics)


def _comparable(detector: Detector, methods: Sequence[str] | None, options: Mapping[str, Any]) -> tuple[list[str], Passes]:
    """The scores to compare and the passes for all of them: a fitted score takes those of its calibration."""
    calibrated = detector.calibrated
    asked = Passes().asked(options)
    if methods:
        names = list(dict.fromkeys(scores.get(name).name for name in methods))
        made = {calibrated.passes(name, options) for name in names if scores.get(name).fits}
        if len(made) > 1:
            raise ValueError(f"Scores that were calibrated alike compare with each other. Received: {sorted(map(str, made))}")
        return names, made.pop() if made else asked
    if not set(Passes._fields) & set(options):
        asked = calibrated.passes(detector.default_score, {})
    ready = detector.ready_scores()
    return [name for name in ready if not scores.get(name).fits or calibrated.passes(name, {}) == asked], asked


def headline(detector: Detector, report: Report) -> dict[str, Any]:
    """Return what `preset.json` says of a report: false alarms at 5 %, and the AUROC of the default score on each set."""
    flagged = detector.score_statistics(report.statistics[IN_DISTRIBUTION]) > detector.threshold(NOMINAL_FPR)
    return {
        "false_positive_rate": {"nominal": NOMINAL_FPR, "measured": float(np.mean(flagged)), "images": len(flagged)},
        "auroc": {
            row.out_of_distribution: round(row.auroc.value, 5) for row in report.rows if row.method == detector.default_score
        },
    }
