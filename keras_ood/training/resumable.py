"""A training with early stopping that a kill does not undo."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import keras

from keras_ood.backend.optimizers import cosine_adam
from keras_ood.callbacks.checkpoints import Checkpoints
from keras_ood.callbacks.early_stopping import EarlyStopping
from keras_ood.callbacks.log import TrainingLog
from keras_ood.images.embeddings import Embeddings
from keras_ood.models import Detector
from keras_ood.training.claim import claim
from keras_ood.training.settings import Settings
from keras_ood.training.split import Split

LOG = "training.csv"


def train(
    detector: Detector,
    split: Split,
    settings: Settings,
    state: Path,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
) -> tuple[Detector, TrainingLog]:
    """Return a detector trained on `split.training`, with its weights of the best loss on `split.validation`, and the log.

    It is not calibrated. What `state` holds of a training that was stopped is gone on with.

    Args:
        detector: Is trained.
        split: Images as `detector.preprocessing` gives them, or their embeddings.
        settings: See `Settings`.
        state: A folder for what the training reaches: log, curves, best weights, and what is needed to go on.
        callbacks: Further ones of Keras.
        verbose: As in `keras.Model.fit`.
    """
    images = [part.array if isinstance(part, Embeddings) else part for part in (split.training, split.validation)]
    claim(state, dataclasses.asdict(settings), [*images, *detector.get_weights()])
    log = TrainingLog(state / LOG)
    states = Checkpoints(state / "epochs", log)
    stopping = EarlyStopping(log, monitor="val_loss", patience=settings.patience)
    if settings.freeze_encoder and detector.encoder is not None:
        detector.encoder.trainable = False
    optimizer = cosine_adam(settings.learning_rate, len(split.training), settings.batch_size, settings.epochs)
    detector.compile(optimizer=optimizer)
    done = states.restore(detector)
    if done < settings.epochs and not stopping.reached(detector):
        detector.fit(
            split.training,
            validation_data=split.validation,
            initial_epoch=done,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            verbose=verbose,
            callbacks=[log, states, stopping, *callbacks],
        )
    states.load_best(detector)
    if settings.freeze_encoder and detector.encoder is not None:
        detector.encoder.trainable = True
    return detector.inference_copy(), log
