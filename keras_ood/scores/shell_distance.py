"""Distance of the latent to the shell of the prior."""

from keras_ood.scores.score import Score


class ShellDistance(Score):
    """`| |loc(x)| - optimal radius |`, the tilted VAE's KL without the square; no unit.

    The optimal radius of a Gaussian VAE is 0: the latent norm. Cost: one pass.
    """

    name = "shell_distance"
    cost = "1 pass"
    needs = ("shell_distance",)
