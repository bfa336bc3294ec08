"""What another framework's networks have to do, to be timed beside ours."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from keras_ood.benchmark.speed.comparison import Work

LATENT_DIM = 10
"""Of all networks that are compared."""


class Rivals(NamedTuple):
    """The zoo's VAE networks for 32x32x1 images in another framework; none ships with this package.

    Attributes:
        name: Name of the framework, as the rows name it.
        scorer: From architecture, uint8 images `(batch, 32, 32, 1)`, whether channels come last in memory, and device ("cpu" or
            "cuda") to the function that takes the images through encoder and decoder.
        trainer: From architecture, float32 images in [0, 1] and whether channels come last to the function that takes one step
            of training on a CPU.
        has_gpu: Whether `scorer` can use "cuda".
    """

    name: str
    scorer: Callable[[str, np.ndarray, bool, str], Work]
    trainer: Callable[[str, np.ndarray, bool], Work]
    has_gpu: bool
