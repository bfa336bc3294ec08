"""Distance to the nearest of remembered in-distribution features."""

from keras_ood.scores.score import Score


class NearestNeighbours(Score):
    """The distance of an encoder's features to the nearest centre of a memory of in-distribution ones; no unit. Cost: one pass.

    The memory and its metric are those of `keras_ood.encoders.FeatureSpace`. Beside the scores of a detector over an encoder it
    shows what the detector adds to the encoder. After Sun et al., "Out-of-Distribution Detection with Deep Nearest Neighbors",
    ICML 2022, arXiv 2204.06507, whose memory is all images.
    """

    name = "knn"
    cost = "1 pass"
    needs = ("knn",)
