"""What stops a training that has gone wrong."""

from typing import Any

import keras
import numpy as np

SNAPSHOT_EVERY = 100  # steps


class NaNGuard(keras.callbacks.Callback):  # type: ignore[misc]
    """Stop a training whose loss is NaN or infinite, and put back the last state that was finite.

    A copy of weights and optimizer is taken at the start, every 100 steps and after every epoch, where all are finite.

    Raises:
        FloatingPointError: Names the epoch and the step, and the step whose weights the model has now.
    """

    def __init__(self) -> None:
        super().__init__()
        self._epoch = self._steps = self._kept_at = 0
        self._kept: list[np.ndarray] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Forget an earlier training (called by Keras)."""
        self._steps, self._kept = 0, []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note the epoch; keep the state of the first one's start, after any checkpoint was restored (called by Keras)."""
        self._epoch = epoch
        if not self._kept:
            self.model.optimizer.build(self.model.trainable_variables)
            self._keep()
        if not self._kept:
            raise FloatingPointError("Training must start from finite weights. Received: NaN or infinite ones")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Look at the loss (called by Keras)."""
        self._steps += 1
        loss = float((logs or {})["loss"])
        if not np.isfinite(loss):
            self._restore(f"loss {loss} in epoch {self._epoch + 1}, batch {batch + 1} (step {self._steps})")
        if self._steps % SNAPSHOT_EVERY == 0:
            self._keep()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Let no checkpoint be written of weights that are not finite (called by Keras)."""
        self._keep()
        if self._kept_at != self._steps:
            self._restore(f"weights that are not, after epoch {epoch + 1} (step {self._steps})")

    def _variables(self) -> list[Any]:
        return [*self.model.trainable_variables, *self.model.optimizer.variables]

    def _keep(self) -> None:
        values = [variable.numpy() for variable in self._variables()]
        if all(np.all(np.isfinite(value)) for value in values):
            self._kept, self._kept_at = values, self._steps

    def _restore(self, received: str) -> None:
        for variable, value in zip(self._variables(), self._kept, strict=True):
            variable.assign(value)
        raise FloatingPointError(
            f"Loss and weights must stay finite; the model has its weights of after step {self._kept_at} back. "
            f"Received: {received}"
        )
