"""An encoder trained on in-distribution images alone."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_ood.backend.loops import give_variables_back
from keras_ood.backend.optimizers import cosine_adam
from keras_ood.backend.settings import own_settings
from keras_ood.callbacks.checkpoints import Checkpoints
from keras_ood.callbacks.log import TrainingLog
from keras_ood.callbacks.nan_guard import NaNGuard
from keras_ood.callbacks.progress import TrainingProgress
from keras_ood.images.preprocessing import Preprocessing
from keras_ood.images.sources import gather
from keras_ood.networks.residual import residual
from keras_ood.recipes.self_supervised_recipe import SelfSupervisedRecipe
from keras_ood.training.claim import claim
from keras_ood.training.draws import Draws
from keras_ood.training.note import NOTE, write_note
from keras_ood.training.self_supervised import SelfSupervised

ENCODER, LOG = "encoder.keras", "training.csv"


def train_encoder(
    images: Any,
    image_shape: tuple[int, int, int],
    settings: SelfSupervisedRecipe,
    folder: Path,
    seed: int = 0,
    verbose: bool = True,
) -> keras.Model:
    """Return an encoder trained on images alone by self-supervision, from float images in 0..1 to a list of maps.

    After each epoch the state and the encoder as it is go to `folder`: a killed training goes on where it was, a finished one
    is read. The encoder returned computes in float32, whatever the settings' `dtype_policy`.

    Args:
        images: Any accepted source of in-distribution images.
        image_shape: `(side, side, channels)` of what the encoder takes.
        settings: How to train.
        folder: Folder of this training alone; gets `encoder.keras`, the log `training.csv` and its curves, and at the end
            `training.json`: epochs, images, seconds, machine.
        seed: Seed of the initial weights, of the order and of the views.
        verbose: Whether to show epochs, their rate and the time left on standard error.

    Raises:
        ValueError: Images that are not square or do not fill a batch, or a folder of another training.
        FloatingPointError: The loss became NaN or infinite.
    """
    with own_settings(settings.dtype_policy):
        keras.utils.set_random_seed(seed)
        model = SelfSupervised(residual(image_shape, settings.widths), settings.flips)
        pixels = gather(images, Preprocessing(image_shape))
        if len(pixels) < settings.batch_size:
            raise ValueError(f"Images must fill a batch of {settings.batch_size}. Received: {len(pixels)}")
        rounded = (pixels * 65_535).round().astype(np.uint16)  # alike on every machine: a training may go on at another one
        claim(folder, {**settings.table(), "seed": seed}, [rounded])
        log = TrainingLog(folder / LOG)
        states = Checkpoints(folder / "epochs", log, monitor="loss")
        steps = len(pixels) // settings.batch_size
        model.compile(cosine_adam(settings.learning_rate, steps, 1, settings.epochs))
        done = states.restore(model)
        written = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: _write(_in_float32(model.encoder, settings), folder))
        if done < settings.epochs:
            with give_variables_back(model):
                model.fit(
                    Draws(pixels, settings.batch_size, seed, range(done, settings.epochs)),
                    initial_epoch=done,
                    epochs=settings.epochs,
                    steps_per_epoch=steps,
                    shuffle=False,  # the draws are
                    verbose=0,
                    callbacks=[NaNGuard(), log, states, written, *([TrainingProgress("encoder")] if verbose else [])],
                )
        if not (folder / NOTE).exists():
            write_note(folder, log.note() | {"training_images": len(pixels)})
        return _in_float32(model.encoder, settings)


def _in_float32(encoder: keras.Model, settings: SelfSupervisedRecipe) -> keras.Model:
    with own_settings("float32"):
        copy = residual(encoder.input_shape[1:], settings.widths)
    copy.set_weights(encoder.get_weights())
    return copy


def _write(encoder: keras.Model, folder: Path) -> None:
    unfinished = folder / f"unfinished-{ENCODER}"
    encoder.save(unfinished)
    unfinished.replace(folder / ENCODER)
