"""Distance from the typical set."""

from typing import Any

import numpy as np

from keras_ood.scores.score import Arrays, Score, Tensors


class Typicality(Score):
    """`| nll - m |` in nats, with `m` the mean nll of in-distribution images.

    A likelihood that is too high is as suspicious as one that is too low: samples lie where the nll is near the entropy, not
    where it is least. After Nalisnick et al., "Detecting Out-of-Distribution Inputs to Deep Generative Models Using
    Typicality", arXiv 1906.02994, for one image at a time. Cost: one pass.
    """

    name = "typicality"
    cost = "1 pass"
    needs = ("nll",)
    fits = True

    def fit_arrays(self, statistics: Arrays) -> dict[str, np.ndarray]:
        """Return the mean nll."""
        return {"mean": np.asarray(np.mean(statistics["nll"]))}

    def formula(self, statistics: Tensors, fitted: Arrays, xp: Any) -> Any:
        """Return the distance from the mean."""
        return xp.abs(statistics["nll"] - fitted["mean"])
