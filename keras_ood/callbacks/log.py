"""What a training reported, on disk and on the screen as it goes."""

import io
import math
import sys
import time
from pathlib import Path
from typing import Any

import keras

from keras_ood import plots
from keras_ood.backend.machine import describe_machine
from keras_ood.tables.records import write_records

_PAUSE = 5.0  # seconds at least from one picture to the next


class TrainingLog(keras.callbacks.Callback):  # type: ignore[misc]
    """Keep the metrics of every epoch as a CSV file and as curves; in a notebook the curves grow below the cell.

    Args:
        path: Path of a .csv file; the curves go beside it as .png. None for a notebook alone.

    Attributes:
        rows: `{"epoch": from 1, "seconds": that the epoch took, metric: value}` of each epoch.
    """

    def __init__(self, path: Path | None = None) -> None:
        super().__init__()
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._display: Any = None
        self._drawn = -math.inf

    def history(self) -> dict[str, list[float]]:
        """Return `{metric: a number for each epoch}`."""
        names = [name for name in (self.rows[0] if self.rows else {}) if name not in ("epoch", "seconds", "learning_rate")]
        return {name: [row[name] for row in self.rows] for name in names}

    def best(self, metric: str) -> int | None:
        """Return the epoch, from 1, with the least finite value of a metric; None where there is none."""
        finite = [row for row in self.rows if math.isfinite(row[metric])]
        return int(min(finite, key=lambda row: row[metric])["epoch"]) if finite else None

    def note(self) -> dict[str, Any]:
        """Return what a card says of the training: its `epochs`, their `seconds` together, the `machine`."""
        seconds = round(sum(row["seconds"] for row in self.rows), 1)
        return {"epochs": len(self.rows), "seconds": seconds, "machine": describe_machine()}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start the clock (called by Keras)."""
        self._start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the files and show the curves (called by Keras)."""
        seconds = time.monotonic() - self._start
        self.rows.append({"epoch": epoch + 1, "seconds": round(seconds, 3), **{name: float(v) for name, v in logs.items()}})
        if self.path is not None:
            write_records(self.path, self.rows)
        if time.monotonic() - self._drawn > _PAUSE:
            self._draw()

    def on_train_end(self, logs: Any = None) -> None:
        """Draw the curves to their end (called by Keras)."""
        if self.rows:
            self._draw()

    def _draw(self) -> None:
        png = io.BytesIO()
        plots.training_curves(self.history()).savefig(png, format="png")
        self._drawn = time.monotonic()
        if self.path is not None:
            self.path.with_suffix(".png").write_bytes(png.getvalue())
        if not _in_a_notebook():
            return
        from IPython import display

        picture = display.Image(png.getvalue())  # type: ignore[no-untyped-call]
        if self._display is None:
            self._display = display.display(picture, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._display.update(picture)


def _in_a_notebook() -> bool:
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")
