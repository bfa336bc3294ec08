"""A training as long as another, whatever its steps cost."""

import math
import time
from typing import Any

import keras


class Budget(keras.callbacks.Callback):  # type: ignore[misc]
    """Stop a training after so much processor time, so that models of different cost compare at equal cost.

    The learning rate falls from `learning_rate` to 0 along half a cosine of the time spent.

    Args:
        seconds: Processor time of the training, of all cores together.
        learning_rate: Learning rate at the start; None to leave the optimizer's.

    Attributes:
        steps: Number of steps taken.
    """

    def __init__(self, seconds: float, learning_rate: float | None = None) -> None:
        super().__init__()
        self.seconds, self.learning_rate, self.steps = seconds, learning_rate, 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Start the clock (called by Keras)."""
        self.start = time.process_time()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Look at the clock (called by Keras)."""
        self.steps += 1
        spent = min((time.process_time() - self.start) / self.seconds, 1.0)
        if self.learning_rate is not None:
            self.model.optimizer.learning_rate = self.learning_rate * 0.5 * (1 + math.cos(math.pi * spent))
        self.model.stop_training = spent >= 1
