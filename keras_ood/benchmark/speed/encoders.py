"""A frozen encoder against the same network in another framework, and against decoding and embedding one after the other."""

import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from keras_ood.benchmark.speed.comparison import Comparison, compare
from keras_ood.benchmark.speed.rivals import Rivals
from keras_ood.encoders.embed import embed, in_memory
from keras_ood.encoders.frozen_encoder import FrozenEncoder
from keras_ood.images.sources import gather

NETWORK, TITLE = "efficientnet-lite0", "EfficientNet-Lite0"
SIZES = (96, 128)
GOALS = {"float32": 1.5, "mixed_bfloat16": 1.2}
BATCH, FILES = 256, 64


def comparisons(rivals: Rivals | None = None) -> Iterator[Comparison]:
    """Yield the rows."""
    if rivals is not None:
        yield from embedding("", rivals, "cpu", GOALS, BATCH)
    yield _overlap()


def embedding(prefix: str, rivals: Rivals, device: str, goals: Mapping[str, float], batch: int) -> Iterator[Comparison]:
    """Yield rows of uint8 images to features, against eager passes of the other framework in the same precision.

    Args:
        prefix: Before the name of each row.
        rivals: The other framework.
        device: Where it computes, "cpu" or "cuda".
        goals: What the ratio should reach, by dtype policy.
        batch: Images of a pass.
    """
    for size in SIZES:
        images = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), np.uint8)
        for policy, goal in goals.items():
            encoder = FrozenEncoder(NETWORK, (size, size, 3), dtype=policy)
            precision = policy.removeprefix("mixed_")
            theirs = (rivals.embedder(images, device, precision), batch)
            name = f"{prefix}embed, {TITLE}, {size} pixels, {precision}: eager {rivals.name}, channels last"
            yield compare(name, (partial(_embed, images, encoder), batch), theirs, goal=goal, rounds=5)


def _overlap() -> Comparison:
    encoder = FrozenEncoder(NETWORK)
    with tempfile.TemporaryDirectory() as folder:
        photographs = [Image.fromarray(photograph) for photograph in load_sample_images().images]
        for number in range(FILES):
            photographs[number % len(photographs)].save(Path(folder, f"{number}.jpg"))
        ours = (partial(_embed, folder, encoder), FILES)
        theirs = (lambda: _embed(gather(folder, encoder.preprocessing, BATCH), encoder), FILES)
        return compare(f"embed, {FILES} JPEG files: all decoded first", ours, theirs, goal=1.0, rounds=5)


def _embed(images: object, encoder: FrozenEncoder) -> None:
    with in_memory():
        embed(images, encoder, batch_size=BATCH, progress=False)
