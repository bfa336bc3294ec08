"""Measure a detector on in-distribution against out-of-distribution images."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from keras_ood import datasets, scores
from keras_ood.batches import open_path
from keras_ood.metrics import Interval, bootstrap_metrics
from keras_ood.models import Detector

NOMINAL_FPR = 0.05

CONVENTION = (
    "Per image. OOD is the positive class (AUPR-in: in-distribution); FPR95 is the share of in-distribution images flagged "
    "when 95 % of the OOD images are; brackets: 95 % bootstrap interval over the images."
)


@dataclass(frozen=True)
class Row:
    """One score on one out-of-distribution set."""

    out_of_distribution: str
    method: str
    in_images: int
    out_images: int
    auroc: Interval
    aupr_in: Interval
    aupr_out: Interval
    fpr95: Interval


@dataclass(frozen=True)
class Report:
    """What `evaluate` measured.

    Attributes:
        rows: One for each out-of-distribution set and score.
        statistics: `{set name: {statistic: (N,)}}`; the in-distribution set is named `in_distribution`.
    """

    rows: list[Row]
    statistics: dict[str, dict[str, np.ndarray]]

    def records(self, **extra: Any) -> list[dict[str, Any]]:
        """Return flat rows: `auroc`, `auroc_low`, `auroc_high`, ... rounded to 5 decimals; `extra` columns come first."""
        return [extra | _flatten(row) for row in self.rows]

    def to_csv(self, path: str | Path, **extra: Any) -> None:
        """Write `records` as a CSV file."""
        write_records(path, self.records(**extra))


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
        resamples: Of the bootstrap; 0 for no intervals.
        **options: Those of `Detector.statistics`.
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


def named_images(images: Any, inside: Any = None) -> Any:
    """Return a named data set's test split, a synthetic set made from `inside`, a path opened, or `images` as they are."""
    if not isinstance(images, str):
        return images
    if images in datasets.SYNTHETIC:
        return datasets.synthesize(images, inside)
    if images in datasets.DATASETS:
        return datasets.load(images, "test")[0]
    if Path(images).exists():
        return open_path(images)
    raise ValueError(
        f"Expected images, a path that exists, a data set of {sorted(datasets.DATASETS)} or a synthetic set of "
        f"{sorted(datasets.SYNTHETIC)}. Received: {images!r}"
    )


def write_records(path: str | Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write rows of equal keys as a CSV file, whole or not at all."""
    rows = list(records)
    unfinished = Path(f"{path}.unfinished")
    with open(unfinished, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    unfinished.replace(path)


def read_records(path: str | Path) -> list[dict[str, str]]:
    """Read what `write_records` wrote."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _flatten(row: Row) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        if not isinstance(value, Interval):
            flat[field.name] = value
            continue
        for suffix, number in (("", value.value), ("_low", value.low), ("_high", value.high)):
            flat[field.name + suffix] = None if number is None else round(number, 5)
    return flat
