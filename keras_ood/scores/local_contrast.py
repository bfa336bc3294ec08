"""Root mean error relative to the image's local contrast."""

from collections.abc import Mapping

import numpy as np

from keras_ood.scores.score import Score


class LocalContrast(Score):
    """`sqrt(|x - f(z)|^2 + (|loc| - optimal radius)^2) / (c + 0.01)`, `c` the mean standard deviation of 3x3 windows.

    A smooth or dark image is easy to reconstruct whatever the model has seen; dividing by its contrast takes that away.
    After the score of the first version of arXiv 2111.15646 (Floto, Kremer, Nica), which samples 100 windows; here all windows
    count, so the score is deterministic. Cost: one pass.
    """

    name = "local_contrast"
    needs = ("squared_error", "shell_distance", "local_contrast")

    def __call__(self, statistics: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the error over the contrast."""
        error = np.sqrt(statistics["squared_error"]) + np.square(statistics["shell_distance"]) / 2
        return error / (statistics["local_contrast"] + 0.01)
