"""The base of every detector: statistics, score, calibration, decision."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_ood import scores
from keras_ood.backend.compiled import Pending, launch
from keras_ood.backend.devices import replicas
from keras_ood.calibration.calibrated_scores import CalibratedScores
from keras_ood.calibration.conformal import MINIMUM_SIZE, Calibration
from keras_ood.callbacks.nan_guard import NaNGuard
from keras_ood.images.preprocessing import Preprocessing
from keras_ood.images.sources import count_images, iterate_batches, one_ahead, pad, trainable
from keras_ood.models.portable import Portable
from keras_ood.terminal.progress import track_images


class Detector(Portable):
    """Out-of-distribution detector: images in; scores, p-values and flags out.

    The way of the data: images -> `preprocessing` -> networks -> distributions -> `statistics` -> `score` -> calibration
    -> `p_values`, `detect`. Every method that takes images takes any source named in `keras_ood.images.sources.ACCEPTED`, holds
    two batches of them in memory at a time, keeps their order and raises a `ValueError` that ends with "Received: ..." for
    what it cannot take.

    A subclass implements `call(inputs, training)`, which maps a batch of images (or a dictionary with `images` and `noise`)
    to a dictionary of `(batch,)` float32 statistics, `nll` among them, whose mean is the loss; `sample` and `draw_noise` where
    it can.

    Args:
        image_shape: `(height, width, channels)` that the networks take; images of other sizes are converted.
        default_score: The score that methods use when none is named.
        background: A detector trained on images with some pixels replaced, for the score `likelihood_ratio`; copied.
    """

    reported: tuple[str, ...] = ("nll",)
    """Statistics whose running means training reports."""

    def __init__(
        self, image_shape: tuple[int, int, int], default_score: str = "nll", background: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.default_score = scores.get(default_score).name
        self.preprocessing = Preprocessing(image_shape, name="preprocessing")
        self.image_shape = self.preprocessing.image_shape
        given = keras.saving.deserialize_keras_object(background) if isinstance(background, dict) else background
        if given is not None and not (isinstance(given, Detector) and given.image_shape == self.image_shape):
            raise ValueError(f"`background` must be a detector of {self.image_shape} images. Received: {background!r}")
        self.background = given and given.inference_copy()  # on JAX a pass of one model takes the arrays that another shares
        if self.background is not None:
            self.background.trainable = False
        self._functions: dict[str, Callable[..., Any]] = {}
        self._statistic_names: tuple[str, ...] = ()
        self._means = [keras.metrics.Mean(name=name) for name in self.reported]

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """Return `n` images drawn from the model, float32 `(n, *image_shape)` in 0..1."""
        raise NotImplementedError(f"{type(self).__name__} does not sample")

    def draw_noise(self, samples: int, seed: int) -> np.ndarray:
        """Return the noise of `samples` stochastic passes, the same for every image."""
        raise NotImplementedError(f"{type(self).__name__} has no stochastic pass")

    @property
    def statistic_names(self) -> tuple[str, ...]:
        """Names of the statistics of one cheap pass."""
        if not self._statistic_names:
            self._statistic_names = tuple(self.compute_output_spec(keras.KerasTensor((1, *self.image_shape))))
        return self._statistic_names

    def statistics(
        self,
        images: Any,
        *,
        methods: Sequence[str] = (),
        samples: int | None = None,
        seed: int = 0,
        batch_size: int = 256,
        progress: bool | None = None,
    ) -> dict[str, np.ndarray]:
        """Return every cheap statistic of each image, from one compiled pass.

        Args:
            images: Any accepted source.
            methods: Scores whose further statistics are measured too.
            samples: None for the deterministic pass; `k` for the mean over `k` stochastic passes, whose noise is the same for
                every image, so that a score depends on the image and `seed` alone.
            seed: Of the stochastic passes.
            batch_size: Images per pass.
            progress: Whether to show a bar on standard error; None: on a terminal, once the work takes long.

        Returns:
            `{name: (N,) float32}`.

        Raises:
            ValueError: The detector lacks what one of the scores takes.
        """
        parts = list(self._iterate_statistics(images, methods, samples, seed, batch_size, progress))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _iterate_statistics(
        self,
        images: Any,
        methods: Sequence[str],
        samples: int | None = None,
        seed: int = 0,
        batch_size: int = 256,
        progress: bool | None = None,
    ) -> Iterator[dict[str, np.ndarray]]:
        """Yield the statistics of one batch after the other; a batch is read and sent while the one before is computed."""
        asked = [score for score in map(self._served, methods) if score.measures]
        if replicas() > 1 and any(score.transductive for score in asked):
            raise ValueError(f"A transductive score takes one device, not data parallelism. Received: {list(methods)}")
        noise = None if samples is None else self.draw_noise(_check_samples(samples), seed)
        launched = self.compiled_function("statistics", lambda: launch(self.__call__, self))

        def start(batch: np.ndarray) -> tuple[np.ndarray, int, Pending]:
            padded = pad(batch, batch_size)
            if padded.shape[1:] != self.image_shape:  # here, so that the compiled pass only ever sees its own image shape
                padded = keras.ops.convert_to_numpy(self.preprocessing(padded))
            return padded, len(batch), launched(padded, noise)

        batches = track_images(iterate_batches(images, batch_size, self.preprocessing), count_images(images), progress)
        for padded, length, pending in one_ahead(batches, start):
            values = pending()
            prepared = keras.ops.convert_to_numpy(self.preprocessing(padded)) if asked else padded
            for score in asked:
                values = values | score.measure(self, prepared[:length] if score.transductive else prepared)
            yield {name: np.asarray(value[:length], np.float32) for name, value in values.items()}

    def _served(self, method: str | None) -> scores.Score:
        score = scores.get(method or self.default_score)
        if not score.serves(self):
            raise ValueError(
                f"This {type(self).__name__} has the scores {scores.available(self)}. Received: {score.name!r}, which needs "
                "what it lacks"
            )
        return score

    def score(self, images: Any, method: str | None = None, **options: Any) -> np.ndarray:
        """Return `(N,)` float32 scores, higher = more out-of-distribution.

        Args:
            images: Any accepted source.
            method: A score of the catalogue (`keras_ood.scores.names()`); None for `default_score`.
            **options: Those of `statistics`: `samples`, `seed`, `batch_size`, `progress`.
        """
        return np.concatenate(list(self.iterate_scores(images, method, **options)))

    def iterate_scores(self, images: Any, method: str | None = None, **options: Any) -> Iterator[np.ndarray]:
        """Yield what `score` returns batch by batch: memory does not grow with the number of images.

        Raises:
            ValueError: The detector lacks what the score takes, said at once, not at the first batch.
            NotCalibratedError: The score must be fitted, and `calibrate` has not run.
        """
        score = self._served(method)
        self._calibrated.fit(score)  # refuses a score that is not fitted before any image is looked at
        batches = self._iterate_statistics(images, [score.name], **options)
        return (self.score_statistics(statistics, score.name) for statistics in batches)

    def score_statistics(self, statistics: Mapping[str, np.ndarray], method: str | None = None) -> np.ndarray:
        """Return `(N,)` float32 scores of statistics at hand: several scores cost one pass."""
        score = scores.get(method or self.default_score)
        read = score.needs + score.measures
        if not set(read) <= set(statistics):
            raise ValueError(f"Score {score.name!r} needs the statistics {read}. Received: {sorted(statistics)}")
        return score(statistics, self._calibrated.fit(score)).astype(np.float32)

    def calibrate(self, images: Any, methods: Sequence[str] | None = None, **options: Any) -> None:
        """Keep the scores of held-out in-distribution images, in place of those kept of the same scores before.

        A score that must be fitted is fitted to every other image, and calibrated with the rest.

        Args:
            images: Any accepted source of at least 20 images that were not trained on, 40 for scores that are fitted.
            methods: Scores; None for every cheap one that the detector and the number of images allow.
            **options: Those of `statistics`. Scores are comparable to the calibration's only under the same `samples`.

        Raises:
            ValueError: Too few images, or a score that cannot be calibrated.
        """
        chosen = [self._served(name) for name in (scores.available(self, cheap=True) if methods is None else methods)]
        transductive = [score.name for score in chosen if score.transductive]
        if transductive:
            raise ValueError(f"A transductive score depends on its batch and has no calibration. Received: {transductive}")
        statistics = self.statistics(images, methods=[score.name for score in chosen], **options)
        size = len(statistics["nll"])
        if methods is None and size < 2 * MINIMUM_SIZE:
            chosen = [score for score in chosen if not score.fits or score.name == self.default_score]
        required = 2 * MINIMUM_SIZE if any(score.fits for score in chosen) else MINIMUM_SIZE
        if size < required:
            raise ValueError(
                f"Calibration takes at least {MINIMUM_SIZE} images, {2 * MINIMUM_SIZE} for scores that are fitted. "
                f"Received: {size} for {[score.name for score in chosen]}"
            )
        self._calibrated = self._calibrated.updated(CalibratedScores(chosen, statistics))

    def compiled_function(self, name: str, build: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
        """Return the function that `build` gave when it was first asked for under this name."""
        if name not in self._functions:
            self._functions[name] = build()
        return self._functions[name]

    def calibration(self, method: str | None = None) -> Calibration:
        """Return the calibration of a score.

        Raises:
            NotCalibratedError: `calibrate` has not run since the weights last changed.
        """
        score = scores.get(method or self.default_score)
        if score.transductive:
            raise ValueError(f"A transductive score depends on its batch and has no p-value. Received: {score.name!r}")
        return self._calibrated.calibration(score.name)

    def calibrated_scores(self) -> list[str]:
        """Return the names of the scores that `calibrate` has covered."""
        return [name for name in scores.names() if name in self._calibrated]

    def ready_scores(self) -> list[str]:
        """Return the names of the cheap scores that can be computed as things are: fitted, where they must be."""
        return [name for name in scores.available(self, cheap=True) if name in self._calibrated or not scores.get(name).fits]

    def p_values(self, images: Any, method: str | None = None, **options: Any) -> np.ndarray:
        """Return `(N,)` conformal p-values against the calibration images; small = out-of-distribution."""
        calibration = self.calibration(method)
        return calibration.p_values(self.score(images, method, **options))

    def threshold(self, fpr: float, method: str | None = None) -> float:
        """Return the score above which at most a share `fpr` of in-distribution images lies."""
        return self.calibration(method).threshold(fpr)

    def detect(self, images: Any, fpr: float = 0.05, method: str | None = None, **options: Any) -> np.ndarray:
        """Return `(N,)` bool, True = out-of-distribution, with the false positive rate held at `fpr`."""
        self.threshold(fpr, method)  # refuses an fpr out of reach before any image is scored
        return self.p_values(images, method, **options) <= fpr

    def fit(self, x: Any = None, **options: Any) -> Any:
        """Train on in-distribution images, as `keras.Model.fit` does; a calibration made before is dropped.

        A loss that is not finite stops the training and brings the last finite weights back.

        Args:
            x: An array of images, checked; a folder of images, read into memory; a `tf.data.Dataset` or a `PyDataset`.
            **options: Those of `keras.Model.fit`.

        Returns:
            The `keras.callbacks.History`.

        Raises:
            FloatingPointError: The loss became NaN or infinite.
        """
        if not self.compiled:
            self.compile(optimizer=keras.optimizers.Adam(1e-3, clipnorm=100.0))
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

    def with_background(self, background: "Detector") -> "Detector":
        """Return a detector of the same weights with a background model, for `likelihood_ratio`; not calibrated."""
        other: Detector = type(self).from_config(self.get_config() | {"background": background})
        for variable, value in zip(other.own_weights(), self.own_weights(), strict=True):
            variable.assign(value.numpy())
        return other

    def own_weights(self) -> list[Any]:
        """Return all weights but those of the background model."""
        foreign = {id(weight) for weight in self.background.weights} if self.background is not None else set()
        return [weight for weight in self.weights if id(weight) not in foreign]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        background = None if self.background is None else keras.saving.serialize_keras_object(self.background)
        return {
            "image_shape": list(self.image_shape),
            "default_score": self.default_score,
            "background": background,
            "name": self.name,
        }


def _check_samples(samples: int) -> int:
    if samples < 1:
        raise ValueError(f"`samples` must be None or a positive integer. Received: {samples!r}")
    return samples
