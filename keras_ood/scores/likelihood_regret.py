"""What optimising the posterior for one image gains."""

from typing import Any

import numpy as np

from keras_ood.scores.score import Arrays, Score, Tensors

STEPS, LEARNING_RATE = 50, 0.1


class LikelihoodRegret(Score):
    """`nll(x) - min nll(x; loc)` in nats, the minimum over the posterior's `loc` for that image alone: 50 steps of Adam.

    The encoder has learnt good posteriors for in-distribution images; for others a better one is easily found. All images of
    a batch are optimised at once, each on its own, at `z = loc` without noise; the least nll on the way counts, so that the
    regret is never negative. The posterior's scale stays the encoder's: without noise the likelihood does not see it. After
    Xiao, Yan, Amit, "Likelihood Regret", NeurIPS 2020, who optimise the encoder for each image, or loc and scale with noise.
    For TiltedVAE. Cost: one pass and 51 of the decoder, forward and backward.
    """

    name = "likelihood_regret"
    cost = "1 pass + 51 decoder, both ways"
    needs = ("reconstruction", "kl")
    measures = ("likelihood_regret",)
    calls = ("posterior_parameters", "posterior_nll")
    cheap = False

    def measure(self, detector: Any, images: np.ndarray, samples: int | None = None, seed: int = 0) -> dict[str, np.ndarray]:
        """Return `likelihood_regret` in nats."""
        loc, scale = detector.posterior_parameters(images)
        start, slope = detector.posterior_nll(loc, scale, images)
        least, moment, second = start, np.zeros_like(loc), np.zeros_like(loc)
        for count in range(1, STEPS + 1):  # Adam
            moment = 0.9 * moment + 0.1 * slope
            second = 0.999 * second + 0.001 * slope**2
            change = (moment / (1 - 0.9**count)) / (np.sqrt(second / (1 - 0.999**count)) + 1e-8)
            loc = (loc - LEARNING_RATE * change).astype(np.float32)
            value, slope = detector.posterior_nll(loc, scale, images)
            least = np.minimum(least, value)
        return {"likelihood_regret": start - least}

    def formula(self, statistics: Tensors, fitted: Arrays, xp: Any) -> Any:
        """Return the regret."""
        return statistics["likelihood_regret"]
