"""The states of a training on disk."""

import shutil
from pathlib import Path
from typing import Any

import keras

from keras_ood.callbacks.log import TrainingLog
from keras_ood.tables.records import read_records, write_records
from keras_ood.terminal.interrupts import hold_interrupts

_WEIGHTS, _METRICS, _UNFINISHED = "state.weights.h5", "metrics.csv", "unfinished"


class Checkpoints(keras.callbacks.Callback):  # type: ignore[misc]
    """Keep the state after each epoch in a folder of its own, which is whole or not there: neither Ctrl-C nor a kill halves it.

    A state is the weights, the optimizer's among them, and the log so far. The last one is kept, and, with a log, that of the
    epoch with the least `monitor`, as far as it is finite.

    Args:
        folder: Folder of the states; it is made where absent.
        log: Log of the training, which stands before this callback in the list; None where none is kept.
        monitor: Metric that tells the best epoch.
    """

    def __init__(self, folder: Path, log: TrainingLog | None = None, monitor: str = "val_loss") -> None:
        super().__init__()
        self.folder, self.log, self.monitor = folder, log, monitor

    def restore(self, model: keras.Model) -> int:
        """Give a compiled model and the log the last state, where there is one, and return how many epochs are done."""
        done = max(self._epochs(), default=0)
        if done:
            model.optimizer.build(model.trainable_variables)
            model.load_weights(self._state(done) / _WEIGHTS)
            if self.log is not None:
                self.log.rows = _read(self._state(done) / _METRICS)
        return done

    def load_best(self, model: keras.Model) -> None:
        """Give a model the weights of the best epoch of the log.

        Raises:
            FloatingPointError: In no epoch the metric was finite.
        """
        assert self.log is not None, "the log tells the best epoch"
        best = self.log.best(self.monitor)
        if best is None:
            raise FloatingPointError(
                f"The best epoch is that of the least {self.monitor}, which must be finite in one of them. "
                f"Received: {self.log.history()[self.monitor]}"
            )
        model.load_weights(self._state(best) / _WEIGHTS)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the state, then let go of those that are no longer wanted (called by Keras)."""
        unfinished = self.folder / _UNFINISHED
        with hold_interrupts():
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            self.model.save_weights(unfinished / _WEIGHTS)
            kept: set[int | None] = {epoch + 1}
            if self.log is not None:
                write_records(unfinished / _METRICS, self.log.rows)
                kept.add(self.log.best(self.monitor))
            unfinished.rename(self._state(epoch + 1))
            for other in set(self._epochs()) - kept:
                shutil.rmtree(self._state(other))

    def _state(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:06}"

    def _epochs(self) -> list[int]:
        return [int(path.name.removeprefix("epoch-")) for path in self.folder.glob(f"epoch-{'[0-9]' * 6}")]


def _read(path: Path) -> list[dict[str, float]]:
    return [
        {name: int(value) if name == "epoch" else float(value) for name, value in row.items()} for row in read_records(path)
    ]
