"""The parts of a recipe that not every preset has."""

from dataclasses import asdict, dataclass, field
from typing import Any

from keras_ood.recipes.encoder_recipe import EncoderRecipe
from keras_ood.terminal.numbers import is_between, is_whole

_SETTINGS = {"reference", "components", "alpha", "mode"}
_HELD_OUT = 20  # images at least, see `PerImageGate.from_images`


@dataclass(frozen=True)
class GateRecipe:
    """How the per-image gate of an InFlow is fitted: the table `attention` of a recipe.

    Attributes:
        encoder: Zoo name of the TiltedVAE whose encoder the gate takes; None in a recipe with an `encoder` of its own.
        held_out: Number of calibration images that the gate takes for itself.
        settings: Further arguments of `PerImageGate.from_images`.
    """

    encoder: str | None
    held_out: int
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, table: dict[str, Any]) -> "GateRecipe":
        """Return the gate that a recipe's table describes.

        Raises:
            ValueError: A key is missing or unknown, or a value cannot be.
        """
        required = {"held_out"}
        counts = [table[key] for key in ("reference", "components") if key in table]
        if (
            not required <= set(table) <= {"encoder", *required, *_SETTINGS}
            or not isinstance(table.get("encoder", ""), str)
            or not is_whole(table["held_out"], _HELD_OUT)
            or not all(is_whole(count, 1) for count in counts)
            or not is_between(table.get("alpha", 0.5), 0, 1)
        ):
            raise ValueError(
                f"`attention` names `held_out`, at least {_HELD_OUT} images, may have {sorted(_SETTINGS)} and `encoder`, as"
                f" `PerImageGate.from_images` takes them. Received: {table}"
            )
        return cls(table.get("encoder"), table["held_out"], {key: table[key] for key in table if key in _SETTINGS})

    def table(self) -> dict[str, Any]:
        """Return the table as it stands in the recipe."""
        encoder = {} if self.encoder is None else {"encoder": self.encoder}
        return encoder | {"held_out": self.held_out, **self.settings}


@dataclass(frozen=True)
class BackgroundRecipe:
    """How the background model for `likelihood_ratio` is trained: the table `background` of a recipe.

    Attributes:
        perturbed: Share of the pixels that are replaced by noise.
        epochs: Passes over the training images.
    """

    perturbed: float
    epochs: int

    @classmethod
    def of(cls, table: dict[str, Any]) -> "BackgroundRecipe":
        """Return the background model that a recipe's table describes.

        Raises:
            ValueError: Other keys, a share that is none, or a number of epochs that is none.
        """
        if not (
            set(table) == {"perturbed", "epochs"} and is_between(table["perturbed"], 0, 1) and is_whole(table["epochs"], 1)
        ):
            raise ValueError(f"`background` has `perturbed`, between 0 and 1, and `epochs`, a whole number. Received: {table}")
        return cls(**table)

    def table(self) -> dict[str, Any]:
        """Return the table as it stands in the recipe."""
        return asdict(self)


def parts_of(values: dict[str, Any]) -> dict[str, Any]:
    """Return the tables of a recipe as what they describe; those that a base has made already stay."""
    kinds: dict[str, Any] = {"attention": GateRecipe, "background": BackgroundRecipe, "encoder": EncoderRecipe}
    given = {key: values.get(key) for key in kinds}
    return {key: kinds[key].of(table) if isinstance(table, dict) else table for key, table in given.items()}
