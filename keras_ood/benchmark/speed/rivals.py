"""What another framework's networks have to do, to be timed beside ours."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from keras_ood.benchmark.speed.comparison import Work

LATENT_DIM = 10
"""Of all networks that are compared."""


class Rivals(NamedTuple):
    """The zoo's networks in another framework, weights at random; none ships with this package.

    Attributes:
        name: Name of the framework, as the rows name it.
        scorer: From a VAE's architecture, uint8 images `(batch, 32, 32, 1)`, whether channels come last in memory, device
            ("cpu" or "cuda") and precision ("float32" or "bfloat16") to the function that takes the images through encoder and
            decoder.
        embedder: From uint8 images `(batch, height, width, 3)`, device and precision to the function that takes them through
            EfficientNet-Lite0, channels last, to the means of its four stages.
        trainer: From architecture, float32 images in [0, 1] and whether channels come last to the function that takes one step
            of training on a CPU.
        has_gpu: Whether `scorer` and `embedder` can use "cuda".
    """

    name: str
    scorer: Callable[[str, np.ndarray, bool, str, str], Work]
    embedder: Callable[[np.ndarray, str, str], Work]
    trainer: Callable[[str, np.ndarray, bool], Work]
    has_gpu: bool
