"""Reconstruction error."""

from keras_ood.scores.score import Score


class Reconstruction(Score):
    """`-log p(x|z)` in nats at the posterior's `z`: for a Gaussian likelihood the squared error, scaled and shifted.

    Cost: one pass.
    """

    name = "reconstruction"
    cost = "1 pass"
    needs = ("reconstruction",)
