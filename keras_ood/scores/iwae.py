"""A tighter bound on the likelihood."""

import math
from typing import Any

import numpy as np

from keras_ood.scores.score import Arrays, Score, Tensors

DRAWS, CHUNK = 64, 8


class ImportanceWeighted(Score):
    """`-log (1/k) sum_i p(x|z_i) p(z_i) / q(z_i|x)` in nats, `k = 64` draws of the posterior: in the mean over draws a bound.

    The draws' noise is the same for every image, and decoded in chunks of 8, so that memory does not grow with `k`. Burda,
    Grosse, Salakhutdinov, "Importance Weighted Autoencoders", ICLR 2016. For TiltedVAE. Cost: one pass and 64 of the decoder.
    """

    name = "iwae"
    cost = "1 pass + 64 decoder"
    needs = ("reconstruction", "kl")
    measures = ("iwae",)
    calls = ("draw_noise", "log_weights")
    cheap = False

    def measure(self, detector: Any, images: np.ndarray, samples: int | None = None, seed: int = 0) -> dict[str, np.ndarray]:
        """Return `iwae` in nats."""
        noise = detector.draw_noise(DRAWS, seed)
        chunks = [detector.log_weights(images, noise[start : start + CHUNK]) for start in range(0, DRAWS, CHUNK)]
        return {"iwae": (math.log(DRAWS) - np.logaddexp.reduce(np.concatenate(chunks))).astype(np.float32)}

    def formula(self, statistics: Tensors, fitted: Arrays, xp: Any) -> Any:
        """Return the bound."""
        return statistics["iwae"]
