"""Early stopping that a kill does not make forgetful."""

import math
from typing import Any

import keras

from keras_ood.callbacks.log import TrainingLog


class EarlyStopping(keras.callbacks.EarlyStopping):  # type: ignore[misc]
    """Keras' early stopping, which in a training that goes on counts the epochs before; a NaN is no improvement.

    Args:
        log: Log of the training, with the epochs before; it stands before this callback in the list.
        **options: Options of `keras.callbacks.EarlyStopping`, all but `restore_best_weights`: weights of before a kill are
            in no memory, `keras_ood.callbacks.checkpoints.Checkpoints` keeps them.
    """

    def __init__(self, log: TrainingLog, **options: Any) -> None:
        super().__init__(restore_best_weights=False, **options)
        self._log = log

    def get_monitor_value(self, logs: Any) -> Any:
        """Return the monitored value, infinity for one that is not finite: NaN never is the best (called by Keras)."""
        value = super().get_monitor_value(logs)
        return value if value is None or math.isfinite(value) else math.inf

    def on_train_begin(self, logs: Any = None) -> None:
        """Look at the epochs of before (called by Keras)."""
        super().on_train_begin(logs)
        for row in self._log.rows:
            self.on_epoch_end(int(row["epoch"]) - 1, row)

    def reached(self, model: keras.Model) -> bool:
        """Return whether the epochs of before end the training: Keras would only notice after one more."""
        self.set_model(model)
        model.stop_training = False
        self.on_train_begin()
        return bool(model.stop_training)
