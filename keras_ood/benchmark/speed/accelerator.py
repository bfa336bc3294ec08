"""Scoring on a GPU, against what the device could do at best and against another framework on the same device."""

from collections.abc import Iterator
from statistics import median

import keras
import numpy as np

from keras_ood.backend import devices
from keras_ood.benchmark.speed.comparison import Comparison, compare, rate
from keras_ood.benchmark.speed.encoders import embedding
from keras_ood.benchmark.speed.rivals import LATENT_DIM, Rivals
from keras_ood.models import TiltedVAE

BATCH, BATCHES = 8192, 16
PEAKS = {"A100": (156e12, 312e12, 2.0e12), "H100": (494e12, 989e12, 3.35e12), "H200": (494e12, 989e12, 4.8e12)}
"""By name: dense TF32 and bfloat16 operations a second, bytes a second (NVIDIA's data sheets, SXM)."""


def comparisons(rivals: Rivals | None = None) -> Iterator[Comparison]:
    """Yield the rows for the GPU that the backend sees; none where it sees none."""
    name = devices.gpu_name()
    if name is None:
        return
    images = np.random.default_rng(0).integers(0, 256, (BATCH * BATCHES, 32, 32, 1), np.uint8)
    detector = TiltedVAE((32, 32, 1), latent_dim=LATENT_DIM, tilt=15.0, architecture="paper")
    if rivals is not None and rivals.has_gpu:
        yield from embedding(f"{name}, ", rivals, "cuda", {"float32": 3.0, "mixed_bfloat16": 3.0}, batch=1024)
    for policy in ("float32", "mixed_bfloat16"):
        fast = detector.inference_copy(policy)
        ours = (lambda fast=fast: fast.score(images, batch_size=BATCH, progress=False), len(images))
        bound = roofline(detector, name, policy)
        if bound is not None:
            measured = median([rate(*ours) for _ in range(4)][1:])
            yield Comparison(f"{name}, score, paper, {policy}: roofline", measured / bound, measured, bound, "images/s")
        if rivals is not None and rivals.has_gpu:
            theirs = (rivals.scorer("paper", images[:BATCH], True, "cuda", "float32"), BATCH)
            row = f"{name}, score, paper, {policy}: eager {rivals.name}, float32"
            yield compare(row, ours, theirs, goal=3.0, rounds=3)


def roofline(detector: TiltedVAE, name: str, policy: str) -> float | None:
    """Return images a second at the device's peak: of arithmetic, or of memory where that is less; None for unknown devices.

    Each layer's output is written and read once, in the policy's precision.
    """
    peaks = next((values for known, values in PEAKS.items() if known in name), None)
    if peaks is None:
        return None
    half = policy != "float32"
    operations, numbers = _cost(detector)
    return min(peaks[half] / operations, peaks[2] / (2 * numbers * (2 if half else 4)))


def _cost(detector: TiltedVAE) -> tuple[int, int]:
    """Operations (a multiplication and an addition are two) and numbers put out by all layers, for one image."""
    operations = numbers = 0
    for layer in [*detector.encoder.layers, detector.loc_head, *detector.decoder.layers]:
        for weight in layer.trainable_weights:
            if len(weight.shape) == 2:
                operations += 2 * int(np.prod(weight.shape))
            elif len(weight.shape) == 4:
                shape = layer.input.shape if isinstance(layer, keras.layers.Conv2DTranspose) else layer.output.shape
                operations += 2 * int(np.prod(weight.shape)) * shape[1] * shape[2]
        numbers += int(np.prod(layer.output.shape[1:])) if layer is not detector.loc_head else detector.latent_dim
    return operations, numbers
