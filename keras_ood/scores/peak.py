"""The oddest place of an image."""

from keras_ood.scores.score import Score


class Peak(Score):
    """`max_p (nll_p - a_p) / b_p`: the nll at the position where it is farthest above what is usual there; no unit.

    The image score of a flow over feature maps: a defect of a few positions is lost in the sum over all, which is the nll, and
    the border of an image is always odder than its middle. Cost: one pass.

    Source: Yu et al., "FastFlow", arXiv 2111.07677; Roth et al., "PatchCore", arXiv 2106.08265.
    """

    name = "peak"
    cost = "1 pass"
    needs = ("peak",)
