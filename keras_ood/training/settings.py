"""How a detector is fine-tuned."""

from dataclasses import dataclass


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
        wrong = {name: getattr(self, name) for name, value in least.items() if getattr(self, name) < value}
        if wrong or not 0 < self.learning_rate < 1:
            raise ValueError(
                "`epochs`, `patience` and `batch_size` must be positive, `seed` not negative, `learning_rate` between 0 and 1. "
                f"Received: {wrong or self.learning_rate}"
            )
