"""One training of a recipe: from a seed to a detector; resumable."""

import shutil
import time
from pathlib import Path

import keras

from keras_ood.backend.machine import describe_machine
from keras_ood.backend.optimizers import cosine_adam
from keras_ood.callbacks.checkpoints import Checkpoints
from keras_ood.callbacks.progress import TrainingProgress
from keras_ood.images.sources import gather
from keras_ood.models import Detector
from keras_ood.recipes.recipe import Recipe
from keras_ood.training.claim import claim
from keras_ood.training.note import NOTE, read_note, write_note

WEIGHTS = "trained.weights.h5"


def train_seed(recipe: Recipe, seed: int, folder: Path, verbose: bool = True) -> Detector:
    """Return the detector that `recipe` and `seed` give, trained now, or read from `folder` if it was before.

    After each epoch the state goes to `folder`, so that a killed training goes on where it was. A loss that is not finite
    stops it with an error; the state before stays on disk. The detector returned computes in float32, whatever the recipe's
    `dtype_policy`.

    Args:
        recipe: What to train.
        seed: Seed of the initial weights, of the shuffling and of the noise.
        folder: Folder of this training alone; gets `trained.weights.h5` and `training.json`.
        verbose: Whether to show epochs, their rate and the time left on standard error.

    Raises:
        ValueError: The folder holds a training, finished or not, of another recipe or seed.
        FloatingPointError: The loss became NaN or infinite.
    """
    keras.utils.set_random_seed(seed)
    detector = recipe.build(for_training=True)
    if (folder / NOTE).exists():
        if read_note(folder)["recipe"] != recipe.digest:
            raise ValueError(
                f"A finished training must come from the recipe as it is now. Received: {folder}, of another recipe"
            )
        detector.load_weights(folder / WEIGHTS)
        return detector.inference_copy("float32")
    claim(folder, {"recipe": recipe.digest, "seed": seed})
    images = recipe.seen(recipe.images_to_train_on())
    if recipe.encoder is None:
        images = gather(images, detector.preprocessing)  # once, not in every epoch
    recipe.fit_feature_space(detector)
    detector.compile(optimizer=cosine_adam(recipe.learning_rate, len(images), recipe.batch_size, recipe.epochs))
    start = time.monotonic()
    states = Checkpoints(folder / "backup")
    history = detector.fit(
        images,
        initial_epoch=states.restore(detector),
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        verbose=0,
        callbacks=[
            states,
            *([TrainingProgress(f"{recipe.name}, seed {seed}")] if verbose else []),
        ],
    )
    detector.save_weights(folder / WEIGHTS)
    noted = {
        "recipe": recipe.digest,
        "seed": seed,
        "epochs": recipe.epochs,
        "training_images": len(images),
        "seconds": round(time.monotonic() - start, 1),
        "machine": describe_machine(),
        "loss": [round(float(value), 4) for value in history.history["loss"]],
    }
    write_note(folder, noted)
    shutil.rmtree(folder / "backup", ignore_errors=True)
    return detector.inference_copy("float32")
