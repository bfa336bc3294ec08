"""The base of every detector: statistics, score, calibration, decision."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_ood import scores
from keras_ood.calibration import NOMINAL_FPR
from keras_ood.calibration.calibrated_scores import CalibratedScores, Passes
from keras_ood.calibration.conformal import MINIMUM_SIZE, Calibration
from keras_ood.encoders.feature_space import FeatureSpace
from keras_ood.images.duplicates import Duplicates
from keras_ood.images.preprocessing import Preprocessing
from keras_ood.models.entrance import Entrance
from keras_ood.models.family import Family
from keras_ood.models.statistics_pass import StatisticsPass
from keras_ood.models.trainable import Trainable
from keras_ood.terminal.names import check_options

OPTIONS = ("samples", "seed", "batch_size", "progress")
"""Of `Detector.statistics`, and of all that rests on it."""


class Detector(Family, Trainable):
    """Out-of-distribution detector: images in; scores, p-values and flags out.

    The way of the data: images -> `preprocessing` -> networks -> distributions -> `statistics` -> `score` -> calibration
    -> `p_values`, `detect`. Every method that takes images takes any source named in `keras_ood.images.checks.ACCEPTED`, holds
    two batches of them in memory at a time, keeps their order and raises a `ValueError` that ends with "Received: ..." for
    what it cannot take.

    A subclass implements `call(inputs, training)`, which maps a batch of images (or a dictionary with `images` and `noise`)
    to a dictionary of `(batch,)` float32 statistics, `nll` among them, whose mean is the loss; and what it can of `Family`.

    Args:
        image_shape: `(height, width, channels)` that the networks take; images of other sizes are converted.
        default_score: The score that methods use when none is named.
        background: A detector trained on images with some pixels replaced, for the score `likelihood_ratio`; copied. For pixels
            alone.
        encoder: What a detector over the features of a frozen network looks through: a `keras_ood.encoders.FeatureSpace`, or
            what that takes as `encoder`, such as `"efficientnet-lite0"`. None for pixels.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        default_score: str = "nll",
        background: Any = None,
        encoder: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(over_encoder=encoder is not None, autocast=False, **kwargs)
        self.default_score = scores.get(default_score).name
        self.preprocessing = Preprocessing(image_shape, name="preprocessing")
        self.image_shape = self.preprocessing.image_shape
        if encoder is not None and background is not None:
            raise ValueError(f"A background model is for pixels, not for an encoder's features. Received: {background!r}")
        self.background = None if background is None else _frozen_copy(background, self.image_shape)
        self.feature_space = _as_feature_space(encoder)
        self.entrance = Entrance(self.preprocessing, self.feature_space)
        self.statistics_pass = StatisticsPass(self)
        self._statistic_names: tuple[str, ...] = ()

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
        methods: Sequence[str] | str = (),
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
            seed: Seed of the stochastic passes.
            batch_size: Images per pass.
            progress: Whether to show a bar on standard error; None: on a terminal, once the work takes long.

        Returns:
            `{name: (N,) float32}`.

        Raises:
            ValueError: The detector lacks what one of the scores takes.
        """
        served = [self._available_score(name) for name in ([methods] if isinstance(methods, str) else methods)]
        parts = list(self.statistics_pass.stream(images, served, samples, seed, batch_size, progress))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _available_score(self, method: str | None) -> scores.Score:
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
            **options: Options of `statistics`: `samples`, `seed`, `batch_size`, `progress`.
        """
        return np.concatenate(list(self.iterate_scores(images, method, **options)))

    def iterate_scores(self, images: Any, method: str | None = None, **options: Any) -> Iterator[np.ndarray]:
        """Yield what `score` returns batch by batch: memory does not grow with the number of images.

        Raises:
            ValueError: The detector lacks what the score takes, said at once, not at the first batch.
            NotCalibratedError: The score must be fitted, and `calibrate` has not run.
        """
        score = self._available_score(method)
        return self._iterate_scores(score, self.calibrated if score.fits else self._calibrated, images, options)

    def _iterate_scores(
        self, score: scores.Score, calibrated: CalibratedScores, images: Any, options: Mapping[str, Any]
    ) -> Iterator[np.ndarray]:
        check_options(options, OPTIONS)
        fit = calibrated.fit_of(score)  # refuses a score that is not fitted before any image is looked at
        if score.fits:
            options = {**options, **calibrated.passes(score.name, options)._asdict()}
        batches = self.statistics_pass.stream(images, [score], **options)
        return (score(statistics, fit).astype(np.float32) for statistics in batches)

    def iterate_p_values(
        self, images: Any, method: str | None = None, **options: Any
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield `(scores, p_values)` batch by batch: what `score` and `p_values` return, from one pass.

        Raises:
            ValueError: As `iterate_scores`; other `samples` or another `seed` than those of the calibration.
            NotCalibratedError: `calibrate` has not covered the score since the weights last changed.
        """
        return self._iterate_p_values(*self._calibrated_score(method), images, options)

    def _iterate_p_values(
        self, score: scores.Score, calibrated: CalibratedScores, images: Any, options: Mapping[str, Any]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        calibration = calibrated.calibration(score.name)
        options = {**options, **calibrated.passes(score.name, options)._asdict()}
        return ((values, calibration.p_values(values)) for values in self._iterate_scores(score, calibrated, images, options))

    def score_statistics(self, statistics: Mapping[str, np.ndarray], method: str | None = None) -> np.ndarray:
        """Return `(N,)` float32 scores of statistics at hand: several scores cost one pass."""
        score = scores.get(method or self.default_score)
        read = score.needs + score.measures
        if not set(read) <= set(statistics):
            raise ValueError(f"Score {score.name!r} needs the statistics {read}. Received: {sorted(statistics)}")
        return score(statistics, (self.calibrated if score.fits else self._calibrated).fit_of(score)).astype(np.float32)

    def calibrate(self, images: Any, methods: Sequence[str] | str | None = None, **options: Any) -> int:
        """Keep the scores of held-out in-distribution images, in place of those kept of the same scores before.

        A score that must be fitted is fitted to every other image, and calibrated with the rest. Each image counts once: of
        equal ones the first is kept, and a warning says how many were left out, and whether many are nearly equal, as frames
        of a video are: p-values promise nothing for images that depend on each other. The calibration belongs to the weights
        as they are; when they change in any way, it is gone.

        Args:
            images: Any accepted source of at least 20 different images that were not trained on, 40 for scores that are fitted.
            methods: Scores; None for every cheap one that the detector and the number of images allow.
            **options: Options of `statistics`. `samples` and `seed` are kept: p-values are taken with the same.

        Returns:
            The number of different images.

        Raises:
            ValueError: Too few images, or a score that cannot be calibrated.
        """
        check_options(options, OPTIONS)
        methods = [methods] if isinstance(methods, str) else methods
        chosen = [self._available_score(name) for name in (scores.available(self, cheap=True) if methods is None else methods)]
        transductive = [score.name for score in chosen if score.transductive]
        if transductive:
            raise ValueError(f"A transductive score depends on its batch and has no calibration. Received: {transductive}")
        duplicates = Duplicates()
        parts = list(self.statistics_pass.stream(images, chosen, **options, look=duplicates.add))
        first = duplicates.first
        statistics = {name: np.concatenate([part[name] for part in parts])[first] for name in parts[0]}
        size = len(first)
        if methods is None and size < 2 * MINIMUM_SIZE:
            chosen = [score for score in chosen if not score.fits or score.name == self.default_score]
        required = 2 * MINIMUM_SIZE if any(score.fits for score in chosen) else MINIMUM_SIZE
        if size < required:
            raise ValueError(
                f"Calibration takes at least {MINIMUM_SIZE} different images, {2 * MINIMUM_SIZE} for scores that are fitted. "
                f"Received: {size} different ones of {duplicates.seen}, for {[score.name for score in chosen]}"
            )
        weights = self.weights_digest()
        made = CalibratedScores(chosen, statistics, weights, Passes().asked(options))
        self._calibrated = self._calibrated.for_weights(weights).updated(made)
        duplicates.warn()
        return size

    def calibration(self, method: str | None = None) -> Calibration:
        """Return the calibration of a score.

        Raises:
            NotCalibratedError: `calibrate` has not run since the weights last changed.
        """
        score, calibrated = self._calibrated_score(method)
        return calibrated.calibration(score.name)

    def passes(self, method: str | None = None) -> Passes:
        """Return the `samples` and `seed` with which a score was calibrated: `statistics` of the same compare with it."""
        score, calibrated = self._calibrated_score(method)
        return calibrated.passes(score.name, {})

    def _calibrated_score(self, method: str | None) -> tuple[scores.Score, CalibratedScores]:
        score = scores.get(method or self.default_score)
        if score.transductive:
            raise ValueError(f"A transductive score depends on its batch and has no p-value. Received: {score.name!r}")
        return score, self.calibrated

    def calibrated_scores(self) -> list[str]:
        """Return the names of the scores that `calibrate` has covered since the weights last changed."""
        calibrated = self.calibrated
        return [name for name in scores.names() if name in calibrated]

    def ready_scores(self) -> list[str]:
        """Return the names of the cheap scores that can be computed as things are: fitted, where they must be."""
        calibrated = self.calibrated
        return [name for name in scores.available(self, cheap=True) if name in calibrated or not scores.get(name).fits]

    def p_values(self, images: Any, method: str | None = None, **options: Any) -> np.ndarray:
        """Return `(N,)` conformal p-values against the calibration images; small = out-of-distribution.

        Args:
            images: Any accepted source.
            method: As in `score`.
            **options: As in `score`; `samples` and `seed` are those of the calibration.
        """
        return np.concatenate([p_values for _, p_values in self.iterate_p_values(images, method, **options)])

    def threshold(self, fpr: float, method: str | None = None) -> float:
        """Return the score above which at most a share `fpr` of in-distribution images lies.

        It holds for scores of the same `samples` and `seed` as the calibration's.
        """
        return self.calibration(method).threshold(fpr)

    def detect(self, images: Any, fpr: float = NOMINAL_FPR, method: str | None = None, **options: Any) -> np.ndarray:
        """Return `(N,)` bool, True = out-of-distribution, with the false positive rate held at `fpr`."""
        score, calibrated = self._calibrated_score(method)
        calibrated.calibration(score.name).threshold(fpr)  # refuses an fpr out of reach before any image is scored
        return np.concatenate([p_values for _, p_values in self._iterate_p_values(score, calibrated, images, options)]) <= fpr

    def with_background(self, background: "Detector") -> "Detector":
        """Return a detector of the same weights with a background model, for `likelihood_ratio`; not calibrated."""
        other = self.remade(background=background)
        for variable, value in zip(other.own_weights(), self.own_weights(), strict=True):
            variable.assign(value.numpy())
        return other

    def with_feature_space(self, space: FeatureSpace) -> "Detector":
        """Return a detector of the same networks over a copy of another feature space of as many features; not calibrated."""
        other = self.remade(encoder=keras.saving.serialize_keras_object(space))
        other.feature_space.set_weights(space.get_weights())
        replaced = {id(weight) for detector in (self, other) for weight in detector.feature_space.weights}
        pairs = zip(other.own_weights(), self.own_weights(), strict=True)
        for variable, value in ((new, old) for new, old in pairs if id(new) not in replaced):
            variable.assign(value.numpy())
        return other

    @property
    def feature_spaces(self) -> list[FeatureSpace]:
        """The feature space in which the networks work, if there is one; of an ensemble that of each member."""
        return [] if self.feature_space is None else [self.feature_space]

    @property
    def borrowed_variables(self) -> list[Any]:
        """The variables of the frozen encoder, which are in no preset."""
        return [] if self.feature_space is None else self.feature_space.encoder.borrowed_variables

    def own_weights(self) -> list[Any]:
        """Return all weights but those of the background model."""
        foreign = {id(weight) for weight in self.background.weights} if self.background is not None else set()
        return [weight for weight in self.weights if id(weight) not in foreign]

    def resized_config(self, image_shape: tuple[int, int, int]) -> dict[str, Any]:
        """Return the constructor's arguments of a detector like this one for images of another shape, without background model.

        Args:
            image_shape: `(height, width, channels)`.

        Raises:
            ValueError: None of the weights fits such images.
        """
        if image_shape[2] != self.image_shape[2] and self.encoder is None and self.feature_space is None:
            raise ValueError(
                f"{type(self).__name__} mixes channels everywhere: none of its weights fits images of another number of them. "
                f"Received: {list(image_shape)}, from {list(self.image_shape)}"
            )
        return self.get_config() | {"image_shape": list(image_shape), "background": None}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        background = None if self.background is None else keras.saving.serialize_keras_object(self.background)
        return {
            "image_shape": list(self.image_shape),
            "default_score": self.default_score,
            "background": background,
            "encoder": None if self.feature_space is None else keras.saving.serialize_keras_object(self.feature_space),
            "name": self.name,
        }


def _as_feature_space(encoder: Any) -> FeatureSpace | None:
    if isinstance(encoder, dict):
        encoder = keras.saving.deserialize_keras_object(encoder)
    return encoder if encoder is None or isinstance(encoder, FeatureSpace) else FeatureSpace(encoder)


def _frozen_copy(background: Any, image_shape: tuple[int, int, int]) -> Detector:
    """A copy of a background model or of its configuration: on JAX a pass of one model takes the arrays that another shares."""
    given = keras.saving.deserialize_keras_object(background) if isinstance(background, dict) else background
    if not (isinstance(given, Detector) and given.image_shape == image_shape):
        raise ValueError(f"`background` must be a detector of {image_shape} images. Received: {background!r}")
    copy = given.inference_copy()
    copy.trainable = False
    return copy
