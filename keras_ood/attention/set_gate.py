"""The attention of a set of images tested together."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_ood.attention.mmd import MMDTest, TestResult
from keras_ood.encoders.encode import encode


class SetGate:
    """One attention for all images of a set: 0 if a two-sample test tells them from the reference, else 1.

    This answers another question than a per-image score: whether the set as a whole was drawn as the reference was. A set of
    in-distribution images that is not a fair draw (one class alone, say) is rejected too, and a set of 2 images hardly ever.

    Args:
        features: From images, any accepted source, to `(N, features)`.
        reference: Features of in-distribution images, `(n, features)`.
        alpha: A p-value at most this is an alarm.
        permutations: Number of permutations of the test.

    Source: Kumar et al., arXiv 2106.12894, with the p-value `(b + 1) / (permutations + 1)`.
    """

    def __init__(
        self, features: Callable[[Any], np.ndarray], reference: np.ndarray, alpha: float = 0.05, permutations: int = 100
    ) -> None:
        if not 1 / (permutations + 1) <= alpha < 1:
            raise ValueError(
                f"`alpha` must lie between 1 / (permutations + 1) and 1. Received: alpha={alpha}, permutations={permutations}"
            )
        self.features = features
        self.alpha, self.permutations = alpha, permutations
        self._test = MMDTest(reference)

    @classmethod
    def from_encoder(cls, encoder: keras.Sequential, reference_images: Any, **settings: Any) -> "SetGate":
        """Return the gate of an encoder and in-distribution images; `settings`: `alpha`, `permutations`."""
        return cls(lambda images: encode(encoder, images), encode(encoder, reference_images), **settings)

    def test(self, images: Any, seed: int = 0) -> TestResult:
        """Test images, any accepted source of at least 2, as one set."""
        return self.test_features(self.features(images), seed)

    def test_features(self, features: np.ndarray, seed: int = 0) -> TestResult:
        """Test features at hand, `(N, features)`, as one set."""
        return self._test(features, self.permutations, seed)

    def attention(self, images: Any, seed: int = 0) -> float:
        """Return the attention of a set: 0.0 for an alarm, else 1.0."""
        return 0.0 if self.test(images, seed).p_value <= self.alpha else 1.0
