"""What is asked of a detector, and which question a pair of data sets belongs to."""

from keras_ood.datasets import GENERATED

NEAR, FAR, CORRUPTED, LOCALISATION, SPEED, SYNTHETIC = "near", "far", "corrupted", "localisation", "speed", "synthetic"

KINDS_OF_PICTURE = {
    "digits": "light shapes on black",
    "mnist": "light shapes on black",
    "fashion_mnist": "light shapes on black",
    "cifar10": "colour photographs",
    "cifar100": "colour photographs",
    "gtsrb": "colour photographs",
    "svhn": "colour photographs",
    "weave": "textures",
    "grain": "textures",
    "leather": "textures",
}
"""Two sets are near where both are of one kind of picture, and far otherwise: colours and backgrounds of near ones are alike,
so that mostly the content tells them apart. Every data set has its line."""


def question(inside: str, outside: str) -> str:
    """Return which question is asked by two sets.

    Args:
        inside: Name of the in-distribution set.
        outside: Name of a data set or of a synthetic set, or `kind-severity` of corrupted in-distribution images.

    Examples:
        >>> question("cifar10", "cifar100"), question("cifar10", "mnist"), question("cifar10", "jpeg-1")
        ('near', 'far', 'corrupted')
    """
    if "-" in outside:
        return CORRUPTED
    if outside in GENERATED:
        return SYNTHETIC
    return NEAR if KINDS_OF_PICTURE[inside] == KINDS_OF_PICTURE[outside] else FAR
