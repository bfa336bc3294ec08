"""Likelihood relative to the image's complexity."""

import io
import math
from typing import Any

import numpy as np

from keras_ood.scores.score import Arrays, Score, Tensors

_CODECS: dict[str, dict[str, Any]] = {
    "PNG": {"optimize": True},
    "JPEG2000": {"irreversible": False},
    "WEBP": {"lossless": True, "quality": 50, "method": 1},  # of the effort, not of the image
}


class InputComplexity(Score):
    """`nll - L log 2` in nats, with `L` the shortest code length of the image in bits: PNG, JPEG-2000 and WebP, all lossless.

    An image that any compressor finds simple is likely under every model; what counts is how much less likely the model finds
    it. Serrà et al., "Input Complexity and Out-of-Distribution Detection with Likelihood-Based Generative Models", ICLR 2020,
    with WebP for their FLIF. The nll is of images in 0..1, which shifts all scores of a model alike. Code lengths count the
    files' headers, which shift them too. Cost: one pass, and three compressions on the processor.
    """

    name = "input_complexity"
    cost = "1 pass + 3 codecs"
    needs = ("nll",)
    measures = ("code_length",)
    cheap = False

    def serves(self, detector: Any) -> bool:
        """Return whether the detector looks at pixels: its nll is of what is compressed."""
        return super().serves(detector) and detector.feature_space is None

    def measure(self, detector: Any, images: np.ndarray, samples: int | None = None, seed: int = 0) -> dict[str, np.ndarray]:
        """Return `code_length` in nats."""
        levels = np.asarray(np.round(255 * np.asarray(images)), np.uint8)
        return {"code_length": np.array([math.log(2) * 8 * _shortest(image) for image in levels], np.float32)}

    def formula(self, statistics: Tensors, fitted: Arrays, xp: Any) -> Any:
        """Return the difference."""
        return statistics["nll"] - statistics["code_length"]


def _shortest(image: np.ndarray) -> int:
    """Bytes of the shortest code of a uint8 `(height, width, channels)` image."""
    from PIL import Image

    picture = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
    lengths = []
    for codec, options in _CODECS.items():
        file = io.BytesIO()
        picture.save(file, codec, **options)
        lengths.append(file.tell())
    return min(lengths)
