"""What a preset folder keeps of a `Report`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """A row of `results.csv`, as far as cards tell of it: one score of one network on one out-of-distribution set.

    Attributes:
        weights: `trained` or `untrained`; `source` of what a fine-tuning began with.
        seed: Seed of the training.
        out_of_distribution: Name of the set.
        method: Name of the score.
        in_images: Number of in-distribution images.
        auroc: See `keras_ood.evaluation.metrics.detection_metrics`.
        auroc_low: Lower end of its 95 % bootstrap interval, None where none was drawn.
        auroc_high: Upper end of it.
        aupr_in: As `auroc`.
        aupr_out: As `auroc`.
        fpr95: As `auroc`.
    """

    weights: str
    seed: int
    out_of_distribution: str
    method: str
    in_images: int
    auroc: float
    auroc_low: float | None
    auroc_high: float | None
    aupr_in: float
    aupr_out: float
    fpr95: float
