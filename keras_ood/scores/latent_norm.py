"""Norm of the latent."""

from keras_ood.scores.score import Score


class LatentNorm(Score):
    """`|z|`: of a VAE's `loc(x)`, of a flow's latent; no unit.

    Only far-away latents are found: what lies nearer to the origin than in-distribution latents passes. Cost: one pass.
    """

    name = "latent_norm"
    cost = "1 pass"
    needs = ("latent_norm",)
