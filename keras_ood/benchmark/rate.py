"""How fast a score of a preset is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """A row of `rates.csv`.

    Attributes:
        preset: Zoo name.
        looks_at: What the detector looks at, see `keras_ood.hub.content.looks_at`.
        in_distribution: Name of its data set, whose test images are scored.
        method: Name of the score.
        images_per_second: On `machine`, the images not embedded before.
        machine: Where it was measured.
    """

    preset: str
    looks_at: str
    in_distribution: str
    method: str
    images_per_second: float
    machine: str
