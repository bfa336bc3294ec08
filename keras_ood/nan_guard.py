"""What stops a training that has gone wrong."""

from typing import Any

import keras
import numpy as np

SNAPSHOT_EVERY = 100  # steps


class NaNGuard(keras.callbacks.Callback):  # type: ignore[misc]
    """Stop a training whose loss is NaN or infinite, and put back the last weights that were finite.

    A copy of the weights is taken at the start and every 100 steps, where loss and weights are finite.

    Raises:
        FloatingPointError: Names the epoch and the step, and the step whose weights the model has now.
    """

    def __init__(self) -> None:
        super().__init__()
        self._epoch = self._steps = self._kept_at = 0
        self._kept: list[np.ndarray] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Keep the weights of the start (called by Keras)."""
        self._steps = 0
        self._keep()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note the epoch (called by Keras)."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Look at the loss (called by Keras)."""
        self._steps += 1
        loss = float((logs or {})["loss"])
        if not np.isfinite(loss):
            self.model.set_weights(self._kept)
            raise FloatingPointError(
                f"The loss must stay finite; the model has its weights of after step {self._kept_at} back. "
                f"Received: loss {loss} in epoch {self._epoch + 1}, batch {batch + 1} (step {self._steps})"
            )
        if self._steps % SNAPSHOT_EVERY == 0:
            self._keep()

    def _keep(self) -> None:
        weights = self.model.get_weights()
        if all(np.all(np.isfinite(weight)) for weight in weights):
            self._kept, self._kept_at = weights, self._steps
