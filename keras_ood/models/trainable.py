"""A model that is trained on images alone."""

import os
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_ood.backend.compiled import is_concrete
from keras_ood.backend.loops import give_variables_back
from keras_ood.backend.optimizers import adam
from keras_ood.backend.settings import own_settings
from keras_ood.callbacks.nan_guard import NaNGuard
from keras_ood.images.checks import check_images
from keras_ood.images.embeddings import Embeddings
from keras_ood.images.feed import Feed
from keras_ood.images.image_files import ImageFiles
from keras_ood.images.sources import open_path
from keras_ood.models.portable import Portable

_WEIGHTS = ("sample_weight", "class_weight")
SETTLED_BY = 512  # images
_LOSSES = ("loss", "loss_weights", "metrics", "weighted_metrics")


class Trainable(Portable):
    """The part of a detector that learns, by Keras' own loops: the loss is the mean `nll` of the batch.

    Whatever way images take into the model, they are checked as `Detector.score` checks them, before anything is done. Labels,
    `y`, are accepted and ignored.
    """

    reported: tuple[str, ...] = ("nll",)
    """Statistics whose running means training reports."""

    of_pixels: tuple[str, ...] = ()
    """Those among them that a detector over an encoder does not have."""

    def __init__(self, over_encoder: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        names = [name for name in self.reported if not (over_encoder and name in self.of_pixels)]
        self._means = [keras.metrics.Mean(name=name, dtype="float32") for name in names]

    def compile(self, optimizer: Any = "rmsprop", **options: Any) -> None:
        """Choose the optimizer and how to compile, as `keras.Model.compile`; loss and metrics are the detector's own.

        Raises:
            ValueError: Another loss or other metrics.
        """
        _refuse(options, _LOSSES, f"A detector's loss is its mean nll, its metrics are {self.reported}")
        super().compile(optimizer, **options)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as the detector was when it was saved (called by Keras)."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, y: Any = None, **options: Any) -> Any:
        """Train on in-distribution images, as `keras.Model.fit` does; a calibration made before holds no longer.

        A loss that is not finite stops the training and brings the last finite weights back.

        Args:
            x: Any accepted source. Arrays, files and lists are held in memory; batches of a `tf.data.Dataset`, a `PyDataset`, a
                `DataLoader` or a generator are read as they come, their labels left out.
            y: Labels; ignored.
            **options: Options of `keras.Model.fit`; `validation_data` is images, or images and labels; `shuffle` is for
                arrays and a `PyDataset`.

        Returns:
            The `keras.callbacks.History`.

        Raises:
            ValueError: Images that are not accepted, or weights of samples or classes.
            FloatingPointError: The loss became NaN or infinite.
        """
        _refuse_weights(options)
        feed, epochs = self._feed(), int(options.get("epochs", 1)) - int(options.get("initial_epoch", 0))
        data = self._once_seen(feed, x, epochs, options.get("steps_per_epoch"), "steps_per_epoch")
        if (validation := options.get("validation_data")) is not None:
            opened = self._once_seen(feed, validation, epochs, options.get("validation_steps"), "validation_steps")
            options["validation_data"] = (opened,) if hasattr(opened, "shape") else opened
        if not self.compiled:
            with own_settings():
                self.compile(optimizer=adam())
        if self.feature_space is not None and not self.feature_space.fitted and hasattr(data, "shape"):
            self.feature_space.fit(self.entrance.as_embeddings(data))
        self.entrance.ready()
        self.before_fit(data)
        if not hasattr(data, "shape") and not isinstance(x, keras.utils.PyDataset):
            options["shuffle"] = False  # a stream has its order, or shuffles itself; Keras would warn
        options["callbacks"] = [NaNGuard(), *(options.get("callbacks") or [])]  # first: before any checkpoint is written
        with feed.errors(), give_variables_back(self), own_settings():
            history = super().fit(data, **options)
        if hasattr(data, "shape"):
            first = data[:SETTLED_BY]
            self.settle(first if self.feature_space is None else self.entrance.as_embeddings(first))
        return history

    def _once_seen(self, feed: Feed, source: Any, *options: Any) -> Any:
        """What to train on; over an encoder images at hand as their features, a stream as it is."""
        if isinstance(source, Embeddings):
            return self.entrance.require(source).values()
        if self.feature_space is None:
            return feed.open(source, *options)
        if isinstance(source, (str, os.PathLike)):
            source = open_path(source)
        data = source if isinstance(source, ImageFiles) else feed.open(source, *options)
        if isinstance(data, ImageFiles) or len(getattr(data, "shape", ())) == 4:
            return self.entrance.embed(data if isinstance(data, ImageFiles) else np.asarray(data)).values()
        return data

    def _at_hand(self, source: Any) -> Any:
        """Embeddings as an array; every other source as it is."""
        self.entrance.ready()
        return self.entrance.require(source).values() if isinstance(source, Embeddings) else source

    def _check(self, batch: Any) -> None:
        if self.feature_space is None or len(batch.shape) != 2:
            check_images(batch)
        elif tuple(batch.shape[1:]) != self.entrance.given_shape:
            raise ValueError(
                f"A batch of features is (batch, {self.entrance.given_shape[0]}). Received: shape {tuple(batch.shape)}"
            )

    def _feed(self) -> Feed:
        return Feed(self.preprocessing, self.entrance.given_shape)

    def before_fit(self, data: Any) -> None:
        """Do what must be done to fresh weights before they are trained; here nothing.

        Args:
            data: What will be trained on, an array `(N, height, width, channels)` or a stream.
        """

    def settle(self, images: Any) -> None:
        """Do what must be done once weights and gate are those that shall be; here nothing.

        `fit` does it at its end, unless it was on a stream.

        Args:
            images: In-distribution images, some hundreds, any accepted source, or their embeddings.
        """

    def evaluate(self, x: Any = None, y: Any = None, **options: Any) -> Any:
        """Return the loss and the metrics on images, as `keras.Model.evaluate` does; see `fit`."""
        _refuse_weights(options)
        feed = self._feed()
        data = feed.open(self._at_hand(x), 1, options.get("steps"))
        with feed.errors(), give_variables_back(self), own_settings():
            return super().evaluate(data, **options)

    def predict(self, x: Any, **options: Any) -> Any:
        """Return the statistics of images, `{name: (N,)}`, as `keras.Model.predict` does; `statistics` takes any length."""
        feed = self._feed()
        data = feed.open(self._at_hand(x), 1, options.get("steps"))
        with feed.errors(), give_variables_back(self), own_settings():
            return super().predict(data, **options)

    def train_on_batch(self, x: Any, y: Any = None, **options: Any) -> Any:
        """Train on one batch, as `keras.Model.train_on_batch` does; see `fit`."""
        _refuse_weights(options)
        with own_settings():
            return super().train_on_batch(self._feed().check(self._at_hand(x)), **options)

    def test_on_batch(self, x: Any, y: Any = None, **options: Any) -> Any:
        """Return loss and metrics of one batch, as `keras.Model.test_on_batch` does; see `fit`."""
        _refuse_weights(options)
        with own_settings():
            return super().test_on_batch(self._feed().check(self._at_hand(x)), **options)

    def predict_on_batch(self, x: Any) -> Any:
        """Return the statistics of one batch, as `keras.Model.predict_on_batch` does."""
        with own_settings():
            return super().predict_on_batch(self._feed().check(self._at_hand(x)))

    def __call__(self, inputs: Any, *arguments: Any, **options: Any) -> Any:
        """Return the statistics of a batch, tensors by name; images that are at hand are checked."""
        images = inputs.get("images") if isinstance(inputs, Mapping) else inputs
        if is_concrete(images):
            self._check(images)
        return super().__call__(inputs, *arguments, **options)

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


def _refuse(options: Mapping[str, Any], names: tuple[str, ...], rule: str) -> None:
    given = [name for name in names if options.get(name) is not None]
    if given:
        raise ValueError(f"{rule}: {' and '.join(map(repr, names))} are not for it. Received: {given}")


def _refuse_weights(options: Mapping[str, Any]) -> None:
    _refuse(options, _WEIGHTS, "A detector weighs all images alike")
