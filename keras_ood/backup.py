"""The state of a training on disk."""

from pathlib import Path
from typing import Any

import keras

from keras_ood.interrupts import held_back


class Backup(keras.callbacks.BackupAndRestore):  # type: ignore[misc]
    """Keep the state after each epoch, and go on from it: neither Ctrl-C nor a kill leaves half of one.

    Ctrl-C waits until the state is written. What a kill cuts off is noticed, and the state of the epoch before is taken.

    Args:
        folder: Of the state.
        **options: Those of `keras.callbacks.BackupAndRestore`.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder, double_checkpoint=True, **options)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the state (called by Keras)."""
        with held_back():
            super().on_epoch_end(epoch, logs)
