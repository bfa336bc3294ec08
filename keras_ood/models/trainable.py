"""A model that is trained on images alone."""

from typing import Any

import keras

from keras_ood.backend.optimizers import adam
from keras_ood.calibration.calibrated_scores import CalibratedScores
from keras_ood.callbacks.nan_guard import NaNGuard
from keras_ood.images.sources import trainable
from keras_ood.models.portable import Portable


class Trainable(Portable):
    """The part of a detector that learns: `fit`, whose loss is the mean `nll` of the batch."""

    reported: tuple[str, ...] = ("nll",)
    """Statistics whose running means training reports."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._means = [keras.metrics.Mean(name=name) for name in self.reported]

    def fit(self, x: Any = None, **options: Any) -> Any:
        """Train on in-distribution images, as `keras.Model.fit` does; a calibration made before is dropped.

        A loss that is not finite stops the training and brings the last finite weights back.

        Args:
            x: An array of images, checked; a folder of images, read into memory; a `tf.data.Dataset` or a `PyDataset`.
            **options: Options of `keras.Model.fit`.

        Returns:
            The `keras.callbacks.History`.

        Raises:
            FloatingPointError: The loss became NaN or infinite.
        """
        if not self.compiled:
            self.compile(optimizer=adam())
        self._calibrated = CalibratedScores()
        options["callbacks"] = [NaNGuard(), *(options.get("callbacks") or [])]  # first: before any checkpoint is written
        return super().fit(trainable(x, self.preprocessing), **options)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The mean `nll` of the batch (called by Keras)."""
        return keras.ops.mean(y_pred["nll"])

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Running means of the statistics (called by Keras)."""
        for mean in self._means:
            mean.update_state(y_pred[mean.name])
        return dict(self.get_metrics_result())
