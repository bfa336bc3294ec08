"""A model's surprise and the distance from what is remembered, as one score."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_ood.scores.score import Arrays, Score, Tensors

_PARTS = ("nll", "knn", "gate_mahalanobis")


class Fusion(Score):
    """`sum_j arsinh((s_j(x) - m_j) / d_j)`, one-sided, with `m_j`, `d_j` the in-distribution mean and deviation; no unit.

    The statistics are the nll (is the image likely under the trained prior or flow?), the distance to the memory of an
    encoder's features (has anything like it been seen?) and, of a gated InFlow, the gate's distance in the stages that the flow
    does not see. Near in-distribution images arsinh is the identity; far from them, where a nll grows with the square of a
    distance, it is a logarithm, so that none drowns the others. All count alike: nothing is tuned. For detectors over a frozen
    encoder. Cost: one pass.
    """

    name = "fusion"
    cost = "1 pass"
    needs = ("nll", "knn")
    fits = True

    def fitted_to(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the parts among the statistics."""
        known = set(names)
        return tuple(name for name in _PARTS if name in known)

    def fit_arrays(self, statistics: Arrays) -> dict[str, np.ndarray]:
        """Return mean and standard deviation of each part."""
        values = np.stack(list(statistics.values()), axis=-1)
        return {"mean": values.mean(axis=0), "sd": np.maximum(values.std(axis=0), 1e-6)}

    def formula(self, statistics: Tensors, fitted: Arrays, xp: Any) -> Any:
        """Return the sum."""
        scaled = (xp.stack(list(statistics.values()), axis=-1) - fitted["mean"]) / fitted["sd"]
        size = xp.log(xp.abs(scaled) + xp.sqrt(xp.square(scaled) + 1))  # arsinh, which LiteRT lacks
        return xp.sum(xp.sign(scaled) * size, axis=-1)
