"""KL divergence of the posterior to the prior."""

from keras_ood.scores.score import Score


class KL(Score):
    """`KL(q(z|x) || p(z))` in nats; for the tilted VAE it grows with the distance of `loc(x)` to the shell of the prior.

    Cost: one pass.
    """

    name = "kl"
    cost = "1 pass"
    needs = ("kl",)
