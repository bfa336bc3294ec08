"""Distance of an image's features from those of in-distribution images."""

from keras_ood.scores.score import Score


class Mahalanobis(Score):
    """The Mahalanobis distance of an encoder's features under probabilistic PCA; no unit. Cost: one pass.

    What the gate of an InFlow looks at, taken alone: beside the InFlow's `nll` it shows what the flow adds to the gate. See
    `keras_ood.attention.PerImageGate`. After Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples
    and Adversarial Attacks", NeurIPS 2018, arXiv 1807.03888, without their class labels.
    """

    name = "mahalanobis"
    cost = "1 pass"
    needs = ("mahalanobis",)
