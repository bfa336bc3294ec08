"""What a preset reaches, in the few numbers that a list has room for."""

from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from keras_ood.hub.content import Content
from keras_ood.tables.records import read_records

ENCODER_ALONE = "mahalanobis"
"""The score of the encoder alone: a distance in its features, which no training of a detector touches."""


@dataclass(frozen=True)
class Summary:
    """AUROC of a preset over the out-of-distribution sets of its recipe, from its own files.

    Attributes:
        trained: Mean over the sets, of the default score as it ships.
        untrained: The same of the network as its training began; None where it was not measured.
        encoder_alone: Mean of `ENCODER_ALONE`; None of a detector of pixels.
        worst_set: Name of the set with the lowest AUROC of the default score.
        worst: That AUROC.
    """

    trained: float
    untrained: float | None
    encoder_alone: float | None
    worst_set: str
    worst: float

    @classmethod
    def of(cls, folder: Path, content: Content) -> "Summary":
        """Return that of a preset of the zoo.

        Args:
            folder: Its folder.
            content: What its `preset.json` says.
        """
        auroc, score, seed = content["auroc"], content["default_score"], str(content["training"]["seed"])
        found: dict[tuple[str, str], list[float]] = {}
        for row in read_records(folder / "results.csv"):
            if row["seed"] == seed and row["out_of_distribution"] in auroc:
                found.setdefault((row["weights"], row["method"]), []).append(float(row["auroc"]))
        worst = min(auroc, key=auroc.__getitem__)
        alone = _mean(found.get(("trained", ENCODER_ALONE))) if "encoder" in content else None
        return cls(mean(auroc.values()), _mean(found.get(("untrained", score))), alone, worst, auroc[worst])


def _mean(values: list[float] | None) -> float | None:
    return mean(values) if values else None
