"""Epochs on standard error while a detector trains."""

import sys
import time
import weakref
from datetime import timedelta
from typing import Any

import keras
from rich.console import Console
from rich.progress import Progress, TextColumn

from keras_ood.terminal.progress import rate

_INTERVAL = 0.1  # seconds between two drawings
_SHOWN = ("loss", "val_loss")


class TrainingProgress(keras.callbacks.Callback):  # type: ignore[misc]
    """Show epochs, their rate, the time left and the loss; pass `verbose=0` to `fit` beside it.

    On a terminal it is one line that is drawn again as batches are done, elsewhere a line for each epoch.

    Args:
        title: What is trained, at the beginning of the line.
    """

    def __init__(self, title: str = "") -> None:
        super().__init__()
        self._title = f"{title}: " if title else ""

    def on_train_begin(self, logs: Any = None) -> None:
        """Start the clock anew (called by Keras)."""
        self._first: int | None = None
        self._losses = ""
        self._drawn = 0.0
        self._live = _live_line() if sys.stderr.isatty() else None
        if self._live is not None:
            self._end = weakref.finalize(self, self._live.stop)  # of a training that fails too: it gives the cursor back

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note where the training begins: one that was stopped goes on (called by Keras)."""
        self._epoch = epoch
        if self._first is None:
            self._first, self._start = epoch, time.monotonic()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Draw the line (called by Keras); after a batch its loss would have to be waited for."""
        steps = self.params.get("steps")
        if self._live is not None and steps and time.monotonic() - self._drawn > _INTERVAL:
            self._draw(self._epoch + batch / steps)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Draw the line with the epoch's loss (called by Keras)."""
        self._losses = "".join(f", {name} {float(logs[name]):.4g}" for name in _SHOWN if name in (logs or {}))
        self._draw(epoch + 1)

    def on_train_end(self, logs: Any = None) -> None:
        """End the line (called by Keras)."""
        if self._live is not None:
            self._end()

    def _draw(self, done: float) -> None:
        self._drawn = time.monotonic()
        epochs, since = self.params["epochs"], done - (self._first or 0)
        speed = since / (self._drawn - self._start) if since else None
        left = f", {timedelta(seconds=round((epochs - done) / speed))} left" if speed else ""
        line = f"{self._title}{int(done)} of {epochs} epochs{rate(speed)}{left}{self._losses}"
        if self._live is None:
            print(line, file=sys.stderr, flush=True)
        else:
            self._live.update(self._live.task_ids[0], description=line, refresh=True)


def _live_line() -> Progress:
    """A line on the terminal that shows its one task's description, cut where the terminal ends."""
    live = Progress(
        TextColumn("{task.description}", markup=False),
        console=Console(stderr=True),
        auto_refresh=False,
        redirect_stdout=False,  # results may go there meanwhile
    )
    live.add_task("", total=None)
    live.start()
    return live
