"""Compare InFlow's architectures at equal processor time: bits per dimension reached, and cost of scoring an image.

Each architecture is trained on CIFAR-10 for the same processor time, compilation not counted, and scored on test images.
"""

import argparse
import time

import keras
import numpy as np

from keras_ood import datasets
from keras_ood.callbacks.budget import Budget
from keras_ood.models import InFlow

BATCH, WARM_UP = 64, 128  # images


def main() -> None:
    """Train and score both architectures; print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=200, help="processor time of each training")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--images", type=int, default=512, help="test images to score")
    arguments = parser.parse_args()
    images = datasets.load("cifar10", "train")[0] / np.float32(255)
    test = datasets.load("cifar10", "test")[0][: arguments.images]
    for architecture in ("multiscale", "paper"):
        keras.utils.set_random_seed(0)
        detector = InFlow((32, 32, 3), architecture)
        detector.compile(keras.optimizers.Adam(arguments.learning_rate, clipnorm=100.0))
        detector.fit(images[:WARM_UP], batch_size=BATCH, verbose=0)
        budget = Budget(arguments.seconds)
        detector.fit(images, batch_size=BATCH, epochs=100, verbose=0, callbacks=[budget])
        bits = np.mean(detector.statistics(test, samples=1, batch_size=BATCH)["bits_per_dimension"])
        detector.statistics(test[:BATCH], batch_size=BATCH)
        start = time.process_time()
        detector.statistics(test, batch_size=BATCH)
        cost = (time.process_time() - start) / len(test)
        print(
            f"{architecture}: {detector.count_params():,} parameters, {budget.steps * BATCH:,} images trained on, "
            f"{bits:.3f} bits per dimension, {1000 * cost:.2f} ms of processor time to score an image",
            flush=True,
        )


if __name__ == "__main__":
    main()
