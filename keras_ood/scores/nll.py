"""Negative log-likelihood."""

from keras_ood.scores.score import Score


class NegativeLogLikelihood(Score):
    """`-log p(x)` in nats, of a VAE its estimate at `z = loc(x)`: plain likelihood, the baseline in every table.

    Known to fail on images smoother than the in-distribution ones, which it prefers (Nalisnick et al., "Do Deep Generative
    Models Know What They Don't Know?", ICLR 2019). Cost: one pass.
    """

    name = "nll"
    cost = "1 pass"
    needs = ("nll",)
