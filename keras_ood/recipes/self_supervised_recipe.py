"""How a recipe trains an encoder of its own."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from keras_ood.models.portable import POLICIES
from keras_ood.terminal.numbers import is_between, is_whole


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
