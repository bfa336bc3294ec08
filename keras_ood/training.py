"""From a recipe to trained weights, resumable."""

import json
import platform
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_ood.models import Detector
from keras_ood.recipe import Recipe

WEIGHTS, LOG = "trained.weights.h5", "training.json"


def train_seed(recipe: Recipe, seed: int, folder: Path, verbose: int | str = "auto") -> Detector:
    """Return the detector that `recipe` and `seed` give, trained now, or read from `folder` if it was before.

    After each epoch the state goes to `folder`, so that a killed training goes on where it was. A loss that is not finite
    stops it with an error; the state before stays on disk.

    Args:
        recipe: What to train.
        seed: Of the initial weights, the shuffling and the noise.
        folder: Of this training alone; gets `trained.weights.h5` and `training.json`.
        verbose: As in `keras.Model.fit`.
    """
    keras.utils.set_random_seed(seed)
    detector = recipe.build()
    if (folder / LOG).exists():
        detector.load_weights(folder / WEIGHTS)
        return detector
    folder.mkdir(parents=True, exist_ok=True)
    images, _ = recipe.training_split()
    images = _preprocess(detector, images)
    steps = -(-len(images) // recipe.batch_size) * recipe.epochs
    schedule = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps)
    detector.compile(optimizer=keras.optimizers.Adam(schedule, clipnorm=100.0))
    start = time.monotonic()
    history = detector.fit(
        images,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        verbose=verbose,
        callbacks=[
            keras.callbacks.TerminateOnNaN(raise_error=True),
            keras.callbacks.BackupAndRestore(folder / "backup"),
        ],
    )
    detector.save_weights(folder / WEIGHTS)
    log = {
        "recipe": recipe.digest,
        "seed": seed,
        "epochs": recipe.epochs,
        "training_images": len(images),
        "seconds": round(time.monotonic() - start, 1),
        "machine": describe_machine(),
        "loss": [round(float(value), 4) for value in history.history["loss"]],
    }
    (folder / LOG).write_text(json.dumps(log, indent=2) + "\n")
    return detector


def read_log(folder: Path) -> dict[str, Any]:
    """Return what `train_seed` noted of a finished training."""
    return dict(json.loads((folder / LOG).read_text()))


def describe_machine() -> str:
    """Return processor, cores, backend and its version, in a line."""
    import os

    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = models[0] if models else processor
    backend = keras.backend.backend()
    version = __import__(backend).__version__
    return f"{os.cpu_count()} cores of {processor}, {platform.system()}, {backend} {version}, Keras {keras.__version__}"


def _preprocess(detector: Detector, images: np.ndarray, batch_size: int = 1000) -> np.ndarray:
    """Scale and resize once, not in every epoch."""
    batches = (images[start : start + batch_size] for start in range(0, len(images), batch_size))
    return np.concatenate([keras.ops.convert_to_numpy(detector.preprocessing(batch)) for batch in batches])
