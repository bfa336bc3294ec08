"""A preset's networks, by seed."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from keras_ood.attention import PerImageGate
from keras_ood.hub import handles
from keras_ood.loading import from_pretrained
from keras_ood.models import Detector, Ensemble
from keras_ood.recipes.recipe import Recipe
from keras_ood.training.from_recipe import equipped, untrained
from keras_ood.training.note import NOTE
from keras_ood.training.train_seed import train_seed

ALL_SEEDS = "all"


@dataclass(frozen=True)
class Networks:
    """What a preset's recipe gives: trained by seed, and untrained.

    Attributes:
        recipe: Recipe of the preset.
        trained: Networks by seed; the first is the one that the zoo ships.
    """

    recipe: Recipe
    trained: dict[int, Detector]

    @classmethod
    def of(cls, name: str, runs: Path) -> "Networks":
        """Return a preset's networks: the shipped one, and those whose finished training lies in `runs`."""
        recipe = Recipe.read(handles.resolve(name) / "recipe.toml")
        base, shipped = recipe.base or recipe, from_pretrained(name)
        trained: dict[int, Detector] = {recipe.seeds[0]: shipped}
        for seed in recipe.seeds[1:]:
            finished = runs / base.name / f"seed-{seed}"
            if (finished / NOTE).exists():
                trained[seed] = equipped(train_seed(base, seed, finished), shipped.gate, shipped.background)
        return cls(recipe, trained)

    @property
    def shipped(self) -> Detector:
        """The network that the zoo ships."""
        return self.trained[self.recipe.seeds[0]]

    def detector(self, weights: str, seed: int | str) -> Detector:
        """Return a network, or the ensemble of all seeds.

        Args:
            weights: `"trained"` or `"untrained"`.
            seed: A seed of `trained`, or `"all"`.
        """
        if seed == ALL_SEEDS:
            return Ensemble([self.detector(weights, each) for each in self.trained])
        if weights == "trained":
            return self.trained[int(seed)]
        return untrained(self.recipe, int(seed), self._untrained_gate)

    @cached_property
    def _untrained_gate(self) -> PerImageGate | None:
        """The gate of an untrained network: over a frozen encoder, which nothing trains, the same."""
        return self.recipe.gate(trained=False) if self.recipe.encoder is None else self.shipped.gate
