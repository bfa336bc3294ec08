"""The base of every detector: what it is made of, and copies of it."""

from typing import Any

import keras
from keras import ops

from keras_ood import scores
from keras_ood.encoders.feature_space import FeatureSpace
from keras_ood.images.preprocessing import Preprocessing
from keras_ood.models.calibratable import Calibratable
from keras_ood.models.entrance import Entrance
from keras_ood.models.family import Family
from keras_ood.models.localising import Localising
from keras_ood.models.statistics_pass import StatisticsPass
from keras_ood.models.trainable import Trainable


class Detector(Family, Calibratable, Localising, Trainable):
    """Out-of-distribution detector: images in; scores, p-values and flags out.

    The way of the data: images -> `preprocessing` -> networks -> distributions -> `statistics` -> `score` -> calibration
    -> `p_values`, `detect`; and `position_scores` -> `score_map` -> `heat_map`. Every method that takes images takes any source
    named in `keras_ood.images.checks.ACCEPTED`, holds two batches of them in memory at a time, keeps their order and raises a
    `ValueError` that ends with "Received: ..." for what it cannot take.

    A subclass implements `call(inputs, training)`, which maps a batch of images (or a dictionary with `images` and `noise`)
    to a dictionary of `(batch,)` float32 statistics, `nll` among them, whose mean is the loss; and what it can of `Family`.

    Args:
        image_shape: `(height, width, channels)` that the networks take; images of other sizes are converted.
        default_score: The score that methods use when none is named.
        background: A detector trained on images with some pixels replaced, for the score `likelihood_ratio`; copied. For pixels
            alone.
        encoder: What a detector over the features of a frozen network looks through: a `keras_ood.encoders.FeatureSpace`, or
            what that takes as `encoder`, such as `"efficientnet-lite0"`. None for pixels.
        aspect: What becomes of images whose sides have another ratio, `"stretch"`, `"crop"` or `"pad"`, see `Preprocessing`.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        default_score: str = "nll",
        background: Any = None,
        encoder: Any = None,
        aspect: str = "stretch",
        **kwargs: Any,
    ) -> None:
        super().__init__(over_encoder=encoder is not None, autocast=False, **kwargs)
        self.default_score = scores.get(default_score).name
        self.preprocessing = Preprocessing(image_shape, aspect, name="preprocessing")
        self.image_shape = self.preprocessing.image_shape
        if encoder is not None and background is not None:
            raise ValueError(f"A background model is for pixels, not for an encoder's features. Received: {background!r}")
        self.background = None if background is None else _frozen_copy(background, self.image_shape)
        self.feature_space = _as_feature_space(encoder)
        self.entrance = Entrance(self.preprocessing, self.feature_space)
        self.statistics_pass = StatisticsPass(self)

    def statistic_names(self) -> tuple[str, ...]:
        """Return the names of the statistics of one cheap pass."""
        return self.statistics_pass.names()

    def position_scores(self, seen: Any) -> Any:
        """Return scores at positions, `(batch, h, w)` tensors, of a batch of images; higher = more out-of-distribution.

        Over an encoder's pooled features: the nll, in nats, of the features around each position of the middle stage's grid
        (`keras_ood.encoders.FrozenEncoder.local_features`) in the place of the image's. A family with another answer says so.

        Args:
            seen: What `entrance.closely` gives of the images.

        Raises:
            NotImplementedError: A family over pixels without an answer.
        """
        if self.feature_space is None:
            raise NotImplementedError(f"{type(self).__name__} does not say where an image is odd")
        return ops.reshape(self(ops.reshape(seen, (-1, seen.shape[-1])))["nll"], ops.shape(seen)[:3])

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
            "aspect": self.preprocessing.aspect,
            "background": background,
            "encoder": None if self.feature_space is None else keras.saving.serialize_keras_object(self.feature_space),
            "name": self.name,
        }


def _as_feature_space(encoder: Any) -> FeatureSpace | None:
    if isinstance(encoder, dict):
        encoder = keras.saving.deserialize_keras_object(encoder)
    return encoder if encoder is None or isinstance(encoder, FeatureSpace) else FeatureSpace(encoder)


def _frozen_copy(background: Any, image_shape: tuple[int, int, int]) -> Detector:
    """A background model of one's own: on JAX a pass of one model takes the arrays that another shares."""
    given = keras.saving.deserialize_keras_object(background) if isinstance(background, dict) else background
    if not (isinstance(given, Detector) and given.image_shape == image_shape):
        raise ValueError(f"`background` must be a detector of {image_shape} images. Received: {background!r}")
    copy = given.inference_copy() if given is background else given
    copy.trainable = False
    return copy
