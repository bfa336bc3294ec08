"""The oddest place of an image."""

from keras_ood.scores.score import Score


class Peak(Score):
    """`max_p -log p(x_p)` in nats: the negative log-density at the position of an image where it is largest.

    The image score of a flow over feature maps: a defect of a few positions is lost in the sum over all, which is the nll.
    Cost: one pass.

    Source: Yu et al., "FastFlow", arXiv 2111.07677; Roth et al., "PatchCore", arXiv 2106.08265.
    """

    name = "peak"
    cost = "1 pass"
    needs = ("peak",)
