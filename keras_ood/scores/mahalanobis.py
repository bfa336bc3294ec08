"""Distance of an image's features from those of in-distribution images."""

from keras_ood.scores.score import Score


class Mahalanobis(Score):
    """The Mahalanobis distance of an encoder's features; no unit. Cost: one pass.

    Of a detector over a frozen encoder: what the encoder alone would say, see `keras_ood.encoders.FeatureSpace`. Of an InFlow
    over pixels: what its gate looks at, see `keras_ood.attention.PerImageGate`; beside the InFlow's `nll` it shows what the
    flow adds to the gate. After Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples and
    Adversarial Attacks", NeurIPS 2018, arXiv 1807.03888, without their class labels.
    """

    name = "mahalanobis"
    cost = "1 pass"
    needs = ("mahalanobis",)
