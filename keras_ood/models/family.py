"""What differs between families of detectors."""

from typing import Any

import numpy as np


class Family:
    """The questions that a family of detectors answers; a new one overrides those to which it has an answer.

    Attributes:
        citation: The family's source for its cards, Markdown.
        encoder: Network from prepared images to the features before the latent; None for families without.
        feature_space: The `keras_ood.encoders.FeatureSpace` in which the networks work; None where they work on pixels.
    """

    citation: str = ""
    encoder: Any = None
    feature_space: Any = None

    @property
    def gate(self) -> Any:
        """The `keras_ood.attention.PerImageGate` in front of the networks, None without."""
        return None

    def ungated(self) -> Any:
        """Return the detector without its gate: itself, where it has none."""
        return self

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """Return `n` images drawn from the model, float32 `(n, *image_shape)` in 0..1."""
        raise NotImplementedError(f"{type(self).__name__} does not sample")

    def draw_noise(self, samples: int, seed: int) -> np.ndarray:
        """Return the noise of `samples` stochastic passes, the same for every image."""
        raise NotImplementedError(f"{type(self).__name__} has no stochastic pass")

    def features(self, images: np.ndarray) -> np.ndarray | None:
        """Return the features in which the detector compares prepared `(N, *image_shape)` images, `(N, features)`, or None."""
        return None

    def reconstruct(self, images: Any, batch_size: int = 256) -> tuple[np.ndarray, np.ndarray] | None:
        """Return `(originals, reconstructions)`, both float32 `(N, *image_shape)`; None for a family that draws none.

        Args:
            images: Any accepted source, small enough for its reconstructions to be held in memory.
            batch_size: Images per pass.
        """
        return None

    def provenance(self, images: Any, statistics: dict[str, np.ndarray]) -> dict[str, Any]:
        """Return what `preset.json` shall say of this family beside its scores, JSON values.

        Args:
            images: In-distribution test images, any accepted source.
            statistics: Those of the images, `{name: (N,)}`.
        """
        return {}
