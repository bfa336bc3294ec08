"""Reconstruction error relative to the image's local contrast."""

from typing import Any

from keras_ood.scores.score import Arrays, Score, Tensors


class LocalContrast(Score):
    """`|x - f(z)| / (c + 0.01)`, with `c` the mean standard deviation of the image's 3x3 windows; no unit.

    A smooth or dark image is easy to reconstruct whatever the model has seen; dividing by its contrast takes that away. After
    the score in the first version of arXiv 2111.15646 (Floto, Kremer, Nica, 2021), whose 0.01 is kept, with two changes: all
    windows count instead of 100 drawn at random, so that the score is deterministic, and the distance to the shell is not
    added, which has the error's unit only in a model trained on the unsquared error. Cost: one pass.
    """

    name = "local_contrast"
    cost = "1 pass"
    needs = ("squared_error", "local_contrast")

    def formula(self, statistics: Tensors, fitted: Arrays, xp: Any) -> Any:
        """Return the error over the contrast."""
        return xp.sqrt(statistics["squared_error"]) / (statistics["local_contrast"] + 0.01)
