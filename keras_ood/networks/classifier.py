"""The small classifier that attacks aim at."""

from pathlib import Path

import keras
import numpy as np
from keras import layers

from keras_ood import datasets

EPOCHS = 5


def build_classifier(image_shape: tuple[int, int, int], classes: int) -> keras.Sequential:
    """Return a network from float images in 0..1, `(batch, *image_shape)`, to logits `(batch, classes)`."""
    return keras.Sequential(
        [
            keras.Input(image_shape),
            *[layers.Conv2D(filters, 3, 2, "same", "channels_last", activation="relu") for filters in (32, 64, 128)],
            layers.Flatten("channels_last"),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(classes),
        ],
        name="classifier",
    )


def train_classifier(dataset: str, folder: Path, epochs: int = EPOCHS, verbose: int | str = 0) -> keras.Sequential:
    """Return a classifier of a data set's labels, trained now, or read from `folder` if it was before.

    Args:
        dataset: A name of `keras_ood.datasets.DATASETS`, with labels.
        folder: Folder of this training; gets `classifier.weights.h5`.
        epochs: Passes over the training split.
        verbose: As in `keras.Model.fit`.
    """
    images, labels = datasets.load(dataset, "train")
    keras.utils.set_random_seed(0)
    classifier = build_classifier(images.shape[1:], int(labels.max()) + 1)
    path = folder / "classifier.weights.h5"
    if path.exists():
        classifier.load_weights(path)
        return classifier
    folder.mkdir(parents=True, exist_ok=True)
    classifier.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    classifier.fit(images / np.float32(255), labels, batch_size=64, epochs=epochs, verbose=verbose)
    classifier.save_weights(path)
    return classifier
