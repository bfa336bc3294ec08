"""What encoder a recipe's detector looks through."""

import dataclasses
from dataclasses import dataclass, fields
from typing import Any

import keras

from keras_ood.encoders import FeatureSpace, FrozenEncoder, MapEncoder, MapSpace, registry
from keras_ood.encoders.feature_space import MEMORY
from keras_ood.recipes.self_supervised_recipe import SelfSupervisedRecipe
from keras_ood.terminal.numbers import is_whole


@dataclass(frozen=True)
class EncoderRecipe:
    """The frozen encoder that a preset looks through: the table `encoder` of a recipe, see `keras_ood.encoders.FrozenEncoder`.

    Attributes:
        network: Name of the encoder; None where the recipe trains one of its own.
        image_shape: To what images are resized for it.
        stages: Its stages; None for those that are usual.
        looked_at: Positions among them of those that the VAE or the flow sees; None for all. A gate sees the others.
        memory: Number of centres behind the score `knn`.
        maps: Whether the features are those of every position, see `keras_ood.encoders.MapSpace`.
        self_supervised: How an encoder is trained on the in-distribution images alone, in place of a `network`.
    """

    network: str | None = None
    image_shape: tuple[int, int, int] = (128, 128, 3)
    stages: tuple[int, ...] | None = None
    looked_at: tuple[int, ...] | None = None
    memory: int = MEMORY
    maps: bool = False
    self_supervised: SelfSupervisedRecipe | None = None

    @classmethod
    def of(cls, table: dict[str, Any]) -> "EncoderRecipe":
        """Return the encoder that a recipe's table describes.

        Raises:
            ValueError: A key is missing or unknown, or a value cannot be.
        """
        known = [key.name for key in fields(cls)]
        if not isinstance(table, dict):
            raise ValueError(f"`encoder` must be a table that has some of {known}. Received: {table!r}")
        lists = {key: table[key] for key in ("image_shape", "stages", "looked_at") if key in table}
        source = set(table) & {"network", "self_supervised"}
        if (
            not set(table) <= set(known)
            or len(source) != 1
            or not isinstance(table.get("network", ""), str)
            or not isinstance(table.get("self_supervised", {}), dict)
            or not all(isinstance(value, list) and all(is_whole(part, 0) for part in value) for value in lists.values())
            or len(lists.get("image_shape", (1, 1, 1))) != 3
            or ("self_supervised" in table and "image_shape" not in table)
            or not is_whole(table.get("memory", 1), 1)
            or not isinstance(table.get("maps", False), bool)
        ):
            raise ValueError(
                "`encoder` names a `network`, or has an `image_shape` and says in `self_supervised` how one is trained, and "
                f"may have more of {known}, as whole numbers. Received: {table}"
            )
        trained = {key: SelfSupervisedRecipe.of(table[key]) for key in source - {"network"}}
        return cls(**table | {key: tuple(value) for key, value in lists.items()} | trained)

    def table(self) -> dict[str, Any]:
        """Return the table as it stands in the recipe."""
        values = {key.name: getattr(self, key.name) for key in fields(self)}
        values["self_supervised"] = self.self_supervised and self.self_supervised.table()
        unused = {"network", "self_supervised"} - {key for key, value in values.items() if value is not None}
        if not self.maps:  # as it was before there were maps
            unused.add("maps")
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items() if key not in unused}

    def over(self, network: keras.Model, trained_on: str) -> "EncoderRecipe":
        """Return the same with the network that was trained as `self_supervised` says."""
        name = registry.register_model(network, "residual network", trained_on)
        return dataclasses.replace(self, network=name, self_supervised=None)

    def frozen(self) -> FrozenEncoder:
        """Return the encoder.

        Raises:
            ValueError: It is not trained yet.
        """
        if self.network is None:
            raise ValueError(f"An encoder is trained before it is looked through. Received: {self.table()}")
        return (MapEncoder if self.maps else FrozenEncoder)(self.network, self.image_shape, self.stages)

    def feature_space(self) -> FeatureSpace:
        """Return the feature space over it, not fitted."""
        return (MapSpace if self.maps else FeatureSpace)(self.frozen(), self.looked_at, self.memory)
