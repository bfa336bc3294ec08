"""Likelihood, and how much an ensemble disagrees on it."""

from typing import Any

from keras_ood.scores.score import Arrays, Score, Tensors


class WAIC(Score):
    """`mean nll + variance of nll` over the members of a `keras_ood.models.Ensemble`, in nats (and their square, as published).

    Watanabe's criterion as Choi, Jang, Alemi use it in "WAIC, but Why? Generative Ensembles for Robust Anomaly Detection",
    arXiv 1810.01392. Cost: a pass for each member.
    """

    name = "waic"
    cost = "1 pass a member"
    needs = ("nll", "nll_variance")

    def formula(self, statistics: Tensors, fitted: Arrays, xp: Any) -> Any:
        """Return the sum."""
        return statistics["nll"] + statistics["nll_variance"]
