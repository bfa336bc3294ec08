"""The parts of a recipe that not every preset has."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from keras_ood.encoders import FeatureSpace, FrozenEncoder
from keras_ood.encoders.feature_space import MEMORY
from keras_ood.models.portable import POLICIES
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
class EncoderRecipe:
    """The frozen encoder that a preset looks through: the table `encoder` of a recipe, see `keras_ood.encoders.FrozenEncoder`.

    Attributes:
        network: Name of the encoder.
        image_shape: To what images are resized for it.
        stages: Its stages; None for those that are usual.
        looked_at: Positions among them of those that the VAE or the flow sees; None for all. A gate sees the others.
        memory: Number of centres behind the score `knn`.
    """

    network: str
    image_shape: tuple[int, int, int] = (128, 128, 3)
    stages: tuple[int, ...] | None = None
    looked_at: tuple[int, ...] | None = None
    memory: int = MEMORY

    @classmethod
    def of(cls, table: dict[str, Any]) -> "EncoderRecipe":
        """Return the encoder that a recipe's table describes.

        Raises:
            ValueError: A key is missing or unknown, or a value cannot be.
        """
        known = [key.name for key in fields(cls)]
        lists = {key: table[key] for key in ("image_shape", "stages", "looked_at") if key in table}
        if (
            not {"network"} <= set(table) <= set(known)
            or not isinstance(table["network"], str)
            or not all(isinstance(value, list) and all(is_whole(part, 0) for part in value) for value in lists.values())
            or not is_whole(table.get("memory", 1), 1)
        ):
            raise ValueError(f"`encoder` names a `network` and may have more of {known}, as whole numbers. Received: {table}")
        return cls(**table | {key: tuple(value) for key, value in lists.items()})

    def table(self) -> dict[str, Any]:
        """Return the table as it stands in the recipe."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    def frozen(self) -> FrozenEncoder:
        """Return the encoder."""
        return FrozenEncoder(self.network, self.image_shape, self.stages)

    def feature_space(self) -> FeatureSpace:
        """Return the feature space over it, not fitted."""
        return FeatureSpace(self.frozen(), self.looked_at, self.memory)


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


@dataclass(frozen=True)
class SelfSupervisedRecipe:
    """How an encoder is trained on in-distribution images alone, see `keras_ood.training.train_encoder`.

    Attributes:
        epochs: Passes over the images.
        batch_size: Images per step, each in two views.
        learning_rate: Learning rate of Adam at the start; a cosine takes it to 0.
        widths: Channels of each stage, see `keras_ood.networks.residual`.
        flips: Whether an image in a mirror is an image of the same kind: not of signs, letters and digits.
        dtype_policy: Policy of Keras, during the training.
    """

    epochs: int
    batch_size: int = 256
    learning_rate: float = 1e-3
    widths: tuple[int, ...] = (48, 96, 192)
    flips: bool = False
    dtype_policy: str = "float32"

    def __post_init__(self) -> None:
        if not (
            is_whole(self.epochs, 1)
            and is_whole(self.batch_size, 2)
            and is_between(self.learning_rate, 0, 1)
            and self.widths
            and all(is_whole(width, 1) for width in self.widths)
            and isinstance(self.flips, bool)
            and self.dtype_policy in POLICIES
        ):
            raise ValueError(
                "An encoder's `epochs` and `widths` must be positive whole numbers, `batch_size` one of at least 2, "
                f"`learning_rate` between 0 and 1, `flips` true or false, `dtype_policy` of {list(POLICIES)}. Received: {self}"
            )

    @classmethod
    def of(cls, table: dict[str, Any]) -> "SelfSupervisedRecipe":
        """Return the training that a recipe's table describes.

        Raises:
            ValueError: A key is missing or unknown, or a value cannot be.
        """
        known = [key.name for key in fields(cls)]
        if not {"epochs"} <= set(table) <= set(known) or not isinstance(table.get("widths", []), (list, tuple)):
            raise ValueError(f"An encoder has `epochs` and may have more of {known}, `widths` a list. Received: {table}")
        return cls(**table | ({"widths": tuple(table["widths"])} if "widths" in table else {}))

    def table(self) -> dict[str, Any]:
        """Return the table as it stands in the recipe."""
        return asdict(self) | {"widths": list(self.widths)}
