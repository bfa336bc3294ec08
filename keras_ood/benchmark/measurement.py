"""What a cell of the benchmark found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """A row of a cell, as far as the report tells of it: one score of one network on one out-of-distribution set.

    Attributes:
        preset: Zoo name.
        looks_at: What the detector looks at, see `keras_ood.hub.content.looks_at`.
        default_score: Name of the preset's default score.
        in_distribution: Name of its data set.
        weights: `trained` or `untrained`.
        seed: Seed of the training, or `all` for the ensemble of all seeds.
        out_of_distribution: Name of the set; `kind-severity` for corruptions of the in-distribution test images.
        method: Name of the score.
        in_images: Number of in-distribution images.
        auroc: Area under the ROC curve, out-of-distribution positive.
        tag: `per-image`, or `transductive` for a score that depends on the batch under test.
        cost: Passes that an image costs, in words.
        machine: Where it was measured.
    """

    preset: str
    looks_at: str
    default_score: str
    in_distribution: str
    weights: str
    seed: str
    out_of_distribution: str
    method: str
    in_images: int
    auroc: float
    tag: str
    cost: str
    machine: str

    @property
    def is_pair(self) -> bool:
        """Whether the set is one of its own, no corruption of the in-distribution images."""
        return "-" not in self.out_of_distribution

    @property
    def label(self) -> str:
        """Name of the score, with its tag where it does not compare with the others."""
        return self.method if self.tag == "per-image" else f"{self.method} ({self.tag})"
