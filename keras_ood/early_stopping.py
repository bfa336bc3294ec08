"""Early stopping that a kill does not make forgetful."""

from typing import Any

import keras

from keras_ood.training_log import TrainingLog


class EarlyStopping(keras.callbacks.EarlyStopping):  # type: ignore[misc]
    """Keras' early stopping, which in a training that goes on counts the epochs before.

    Args:
        log: Of the training; stands before this callback in the list.
        **options: Those of `keras.callbacks.EarlyStopping` but `restore_best_weights`: weights of before a kill are in no
            memory, a `keras.callbacks.ModelCheckpoint` keeps them.
    """

    def __init__(self, log: TrainingLog, **options: Any) -> None:
        super().__init__(restore_best_weights=False, **options)
        self._log, self._replayed = log, False

    def on_train_begin(self, logs: Any = None) -> None:
        """Forget an earlier training (called by Keras)."""
        super().on_train_begin(logs)
        self._replayed = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Look at the epochs of before, once (called by Keras)."""
        if not self._replayed:
            for row in self._log.rows:
                super().on_epoch_end(int(row["epoch"]) - 1, row)
        self._replayed = True
