"""Scoring and training against the bare networks, in Keras and in another framework."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_ood.backend.optimizers import adam
from keras_ood.benchmark.speed.comparison import Comparison, compare
from keras_ood.benchmark.speed.rivals import LATENT_DIM, Rivals
from keras_ood.models import TiltedVAE

BATCH, BATCHES = 256, {"paper": 2, "small": 16}


def comparisons(rivals: Rivals | None = None) -> Iterator[Comparison]:
    """Yield the rows: 32x32x1 images, batches of 256, uint8 NumPy arrays in, float32 scores out."""
    for architecture, batches in BATCHES.items():
        images = _images(BATCH * batches)
        detector = _detector(architecture)
        ours = (lambda detector=detector, images=images: detector.score(images, batch_size=BATCH, progress=False), len(images))
        bare = keras.Sequential([detector.encoder, detector.loc_head, detector.decoder])
        floats = images.astype(np.float32) / 255
        predict = (lambda bare=bare, floats=floats: bare.predict(floats, batch_size=BATCH, verbose=0), len(images))
        yield compare(f"score, {architecture}: bare Keras predict", ours, predict)
        if rivals is not None:
            yield from _scoring(rivals, architecture, ours)
            fast = detector.inference_copy("mixed_bfloat16")
            ours = (lambda fast=fast, images=images: fast.score(images, batch_size=BATCH, progress=False), len(images))
            theirs = (rivals.scorer(architecture, images[:BATCH], True, "cpu", "bfloat16"), BATCH)
            name = f"score, {architecture}, bfloat16: {rivals.name}, {architecture}, channels last, bfloat16"
            yield compare(name, ours, theirs, goal=1.0)
    if rivals is not None:
        yield from _training(rivals)


def _scoring(rivals: Rivals, architecture: str, ours: Any) -> Iterator[Comparison]:
    images = _images(BATCH)
    for channels_last in (False, True):
        theirs = (rivals.scorer("paper", images, channels_last, "cpu", "float32"), BATCH)
        name = f"score, {architecture}: {rivals.name}, paper" + (", channels last" if channels_last else "")
        goal = None if not channels_last else 1.0 if architecture == "paper" else 5.0
        yield compare(name, ours, theirs, goal=goal)
    if architecture == "small":
        theirs = (rivals.scorer("small", images, True, "cpu", "float32"), BATCH)
        yield compare(f"score, small: {rivals.name}, small, channels last", ours, theirs, goal=1.0)


def _training(rivals: Rivals) -> Iterator[Comparison]:
    images = _images(BATCH).astype(np.float32) / 255
    for architecture in BATCHES:
        detector = _detector(architecture)
        detector.compile(optimizer=adam())
        ours = (lambda detector=detector: detector.train_on_batch(images), BATCH)
        for channels_last in (False, True):
            theirs = (rivals.trainer(architecture, images, channels_last), BATCH)
            name = f"training, {architecture}: {rivals.name}" + (", channels last" if channels_last else "")
            yield compare(name, ours, theirs, goal=1.0)


def _detector(architecture: str) -> TiltedVAE:
    return TiltedVAE((32, 32, 1), latent_dim=LATENT_DIM, tilt=15.0, architecture=architecture)


def _images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 1), np.uint8)
