"""How a detector is fine-tuned."""

from dataclasses import dataclass

from keras_ood.terminal.numbers import is_between, is_whole


@dataclass(frozen=True)
class Settings:
    """How a detector is fine-tuned.

    Attributes:
        epochs: Passes over the training part, at most.
        patience: Epochs without a better loss on the validation part after which training stops.
        batch_size: Images per step.
        learning_rate: Learning rate of Adam at the start; a cosine takes it to 0 over `epochs`.
        freeze_encoder: Whether a VAE's encoder, up to the heads of the latent, keeps its weights.
        seed: Seed of the split, of fresh weights, of the shuffling and of the noise.
    """

    epochs: int = 30
    patience: int = 5
    batch_size: int = 64
    learning_rate: float = 1e-3
    freeze_encoder: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"epochs": 1, "patience": 1, "batch_size": 1, "seed": 0}
        wrong = {name: getattr(self, name) for name, value in least.items() if not is_whole(getattr(self, name), value)}
        if not is_between(self.learning_rate, 0, 1):
            wrong["learning_rate"] = self.learning_rate
        if wrong or not isinstance(self.freeze_encoder, bool) or self.seed >= 2**32:
            raise ValueError(
                "`epochs`, `patience` and `batch_size` must be positive whole numbers, `seed` one from 0 to 2**32 - 1, "
                f"`learning_rate` between 0 and 1, `freeze_encoder` True or False. Received: {wrong or self}"
            )
