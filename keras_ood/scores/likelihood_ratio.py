"""Likelihood relative to a background model's."""

from typing import Any

import numpy as np

from keras_ood.scores.score import Arrays, Score, Tensors


class LikelihoodRatio(Score):
    """`nll(x) - background nll(x)` in nats, the background model being trained on images with some pixels replaced by noise.

    What both models find likely, the general statistics of images, cancels. Stochastic passes are as many, of one seed, for
    both. Ren et al., "Likelihood Ratios for Out-of-Distribution Detection", NeurIPS 2019. For detectors with a `background`.
    Cost: two passes.
    """

    name = "likelihood_ratio"
    cost = "2 passes"
    needs = ("nll",)
    measures = ("background_nll",)

    def serves(self, detector: Any) -> bool:
        """Return whether there is a background model."""
        return detector.background is not None

    def measure(self, detector: Any, images: np.ndarray, samples: int | None = None, seed: int = 0) -> dict[str, np.ndarray]:
        """Return `background_nll` in nats."""
        options = {"samples": samples, "seed": seed, "batch_size": len(images), "progress": False}
        return {"background_nll": detector.background.statistics(images, **options)["nll"]}

    def formula(self, statistics: Tensors, fitted: Arrays, xp: Any) -> Any:
        """Return the logarithm of the ratio."""
        return statistics["nll"] - statistics["background_nll"]
