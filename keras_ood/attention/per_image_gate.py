"""The attention of a single image."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ood.attention.set_gate import SetGate
from keras_ood.backend.settings import own_settings, under_own_settings
from keras_ood.encoders.encode import encode
from keras_ood.images.preprocessing import Preprocessing


@keras.saving.register_keras_serializable(package="keras_ood")
class PerImageGate(keras.layers.Layer):  # type: ignore[misc]
    """Attention of each image on its own: the conformal p-value of its features' distance from the in-distribution ones.

    With `h` the encoder's features of an image, `m` their mean over in-distribution images, `v_1 .. v_q` the principal
    directions with variances `l_i`, and `n` the variance of each remaining direction:

        distance^2   D(x)  = sum_i (v_i (h - m))^2 / l_i  +  (|h - m|^2 - sum_i (v_i (h - m))^2) / n
        p-value      p(x)  = (1 + #{held-out images with D >= D(x)}) / (1 + held-out images)
        attention    c(x)  = 1 if p >= alpha else 0           ("hard")
                     c(x)  = min(1, p / alpha)                ("soft")

    D is the Mahalanobis distance under probabilistic PCA. Between two held-out distances p falls linearly, never below the
    conformal value, so that rounding cannot make it jump and gradients pass. `p < alpha` is an alarm; its rate on fresh
    in-distribution images is at most `alpha` (marginally over the held-out images).

    The paper's attention tests a batch as one set (`keras_ood.attention.SetGate`); this variation is ours.

    Args:
        encoder: A `keras.Sequential` from images to `(batch, features)`, see `keras_ood.encoders.encode`; None for a gate that
            is given features, that of an InFlow over a frozen encoder.
        held_out: Number of held-out images behind the p-values.
        reference: Number of images whose projected features are kept for `set_gate`.
        components: `q`.
        alpha: Level of an alarm.
        mode: `"soft"` or `"hard"`.
        features: Number of features, of a gate without encoder.
    """

    def __init__(
        self,
        encoder: Any,
        held_out: int,
        reference: int,
        components: int = 64,
        alpha: float = 0.05,
        mode: str = "soft",
        features: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(trainable=False, dtype="float32", autocast=False, **kwargs)
        if mode not in ("soft", "hard"):
            raise ValueError(f'`mode` must be "soft" or "hard". Received: {mode!r}')
        if not 1 / (held_out + 1) < alpha < 1:  # an alarm is a p-value below alpha, and none is below 1 / (held_out + 1)
            raise ValueError(
                f"`alpha` must lie between 1 / (held_out + 1) and 1, neither of them. Received: {alpha=}, {held_out=}"
            )
        self.encoder = keras.saving.deserialize_keras_object(encoder) if isinstance(encoder, dict) else encoder
        if (self.encoder is None) == (features is None):
            raise ValueError(f"A gate has an `encoder` or a number of `features`. Received: {encoder=}, {features=}")
        features = self.encoder.output_shape[-1] if features is None else int(features)
        self.feature_count = features
        if not 1 <= components < features:
            raise ValueError(f"`components` must be below the encoder's {features} features. Received: {components}")
        self.held_out, self.reference, self.components = int(held_out), int(reference), int(components)
        self.alpha, self.mode = float(alpha), mode
        self.preprocessing = None if self.encoder is None else Preprocessing(self.encoder.input_shape[1:])
        self.mean = self._state("mean", (features,))
        self.whitening = self._state("whitening", (features, components))
        self.noise_scale = self._state("noise_scale", ())
        self.distances = self._state("distances", (held_out,))
        self.reference_features = self._state("reference_features", (reference, components))
        if self.encoder is not None:
            self.encoder.trainable = False
        self.built = True

    def _state(self, name: str, shape: tuple[int, ...]) -> Any:
        return self.add_weight(shape=shape, initializer="zeros", trainable=False, name=name)

    @classmethod
    @under_own_settings
    def from_images(
        cls, encoder: keras.Sequential, training_images: Any, held_out_images: Any, reference: int = 1000, **settings: Any
    ) -> "PerImageGate":
        """Return a gate fitted to in-distribution images.

        Args:
            encoder: As in the constructor.
            training_images: Images of the size that the flow takes, for the mean and the principal directions. The encoder
                may have seen them in its training.
            held_out_images: At least 20, for the p-values and the reference; nothing may have been trained on them.
            reference: How many held-out images at most the set-level test compares with.
            **settings: `components`, `alpha`, `mode`.
        """
        training, held_out = encode(encoder, training_images), encode(encoder, held_out_images)
        return cls._fitted(encoder, training, held_out, reference, settings)

    @classmethod
    @under_own_settings
    def from_features(
        cls, training: np.ndarray, held_out: np.ndarray, reference: int = 1000, **settings: Any
    ) -> "PerImageGate":
        """Return a gate without encoder, fitted to the features of in-distribution images.

        Args:
            training: `(N, features)`, see `from_images`.
            held_out: `(n, features)`, at least 20.
            reference: As in `from_images`.
            **settings: `components`, `alpha`, `mode`.
        """
        return cls._fitted(None, training, held_out, reference, settings | {"features": training.shape[-1]})

    @classmethod
    def _fitted(
        cls, encoder: Any, training: np.ndarray, held_out: np.ndarray, reference: int, settings: dict[str, Any]
    ) -> "PerImageGate":
        from sklearn.decomposition import PCA

        if len(held_out) < 20:
            raise ValueError(f"`held_out_images` must be at least 20 images. Received: {len(held_out)}")
        gate = cls(encoder, held_out=len(held_out), reference=min(reference, len(held_out)), **settings)
        analysis = PCA(gate.components, svd_solver="covariance_eigh").fit(training)
        gate.mean.assign(analysis.mean_)
        gate.whitening.assign(analysis.components_.T / np.sqrt(analysis.explained_variance_))
        gate.noise_scale.assign(np.sqrt(analysis.noise_variance_))
        held_out = ops.convert_to_tensor(held_out)
        gate.distances.assign(np.sort(ops.convert_to_numpy(gate.mahalanobis(held_out))))
        gate.reference_features.assign(ops.convert_to_numpy(gate.project(held_out))[: gate.reference])
        return gate

    def refitted(self, encoder: keras.Sequential | None, training: np.ndarray, held_out: np.ndarray) -> "PerImageGate":
        """Return a gate with these settings, as far as the number of images allows, fitted to others.

        Args:
            encoder: As in the constructor; None for a gate that is given features.
            training: Images for the mean and the principal directions, `(N, height, width, channels)`, or features of such.
            held_out: Images or features for the p-values, `(n, ...)`.
        """
        settings: dict[str, Any] = {"alpha": max(self.alpha, 2 / (len(held_out) + 1)), "mode": self.mode}
        components = min(self.components, len(training) - 1)
        if encoder is None:
            components = min(components, training.shape[-1] - 1)
            return PerImageGate.from_features(training, held_out, self.reference, components=components, **settings)
        return PerImageGate.from_images(encoder, training, held_out, components=components, **settings)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """As any Keras layer; float32 whatever `keras.config.set_floatx` says."""
        with own_settings():
            return super().__call__(*inputs, **options)

    def call(self, images: Any) -> dict[str, Any]:
        """Return `attention`, `attention_p_value` and `mahalanobis`, `(batch,)` each, of images or of features."""
        features = images if self.preprocessing is None else self.encoder(self.preprocessing(images))
        distance = self.mahalanobis(ops.cast(features, "float32"))
        p_value = self.p_value(distance)
        soft = ops.minimum(1.0, p_value / self.alpha)
        attention = soft if self.mode == "soft" else ops.floor(soft)
        return {"attention": attention, "attention_p_value": p_value, "mahalanobis": distance}

    def at_positions(self, features: Any) -> dict[str, Any]:
        """Return what the gate says of every position, `(batch, h, w)` each, of features `(batch, h, w, features)`."""
        positions = tuple(features.shape[1:3])
        found = self(ops.reshape(features, (-1, features.shape[-1])))
        return {name: ops.reshape(values, (-1, *positions)) for name, values in found.items()}

    def project(self, features: Any) -> Any:
        """Return the whitened principal components of `(batch, features)`, `(batch, components)`."""
        return ops.matmul(features - self.mean, self.whitening)

    def mahalanobis(self, features: Any) -> Any:
        """Return D, `(batch,)`, of `(batch, features)`."""
        whitened = self.project(features)
        variances = 1 / ops.sum(ops.square(self.whitening), axis=0)
        inside = ops.sum(ops.square(whitened) * variances, axis=-1)
        outside = ops.maximum(ops.sum(ops.square(features - self.mean), axis=-1) - inside, 0.0)
        return ops.sqrt(ops.sum(ops.square(whitened), axis=-1) + outside / ops.square(self.noise_scale))

    def p_value(self, distance: Any) -> Any:
        """Return p, `(batch,)`, of distances `(batch,)`."""
        held_out = ops.convert_to_tensor(self.distances)
        beyond = 2 * held_out[-1] - held_out[self.held_out // 2]  # where p has fallen to its least
        grid = ops.concatenate([held_out, beyond[None]])
        above = ops.clip(ops.sum(ops.cast(grid <= distance[:, None], "int32"), axis=-1), 1, self.held_out)
        low, high = ops.take(grid, above - 1), ops.take(grid, above)
        fraction = ops.clip((distance - low) / ops.maximum(high - low, 1e-12), 0.0, 1.0)
        count = self.held_out + 1 - ops.cast(above, "float32") - fraction
        return (1 + count) / (1 + self.held_out)

    def false_alarms(self, p_values: np.ndarray) -> dict[str, Any]:
        """Return the share of in-distribution images at which the gate alarms, with the 99 % intervals of two laws of it.

        Args:
            p_values: `attention_p_value` of in-distribution images, `(N,)`.
        """
        from scipy.stats import betabinom, binom  # here: it takes a second to import

        alpha, images, held_out = self.alpha, len(p_values), self.held_out
        alarming = math.ceil(alpha * (held_out + 1)) - 1  # ranks among the held-out images that alarm
        laws = {"binomial": binom(images, alpha), "beta_binomial": betabinom(images, alarming, held_out + 1 - alarming)}
        return {
            "alpha": alpha,
            "false_alarm_rate": float(np.mean(p_values < alpha)),
            "images": images,
            **{name: [float(count) / images for count in law.interval(0.99)] for name, law in laws.items()},
        }

    def set_gate(self, permutations: int = 100) -> SetGate:
        """Return the set-level gate in the same features, against the reference kept here: a `SetGate`."""

        @under_own_settings
        def features(images: Any) -> np.ndarray:
            found = np.asarray(images, np.float32) if self.encoder is None else encode(self.encoder, images)
            return np.asarray(ops.convert_to_numpy(self.project(ops.convert_to_tensor(found))))

        permutations = max(permutations, math.ceil(1 / self.alpha))
        return SetGate(features, ops.convert_to_numpy(self.reference_features), self.alpha, permutations)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "name": self.name,
            "encoder": None if self.encoder is None else keras.saving.serialize_keras_object(self.encoder),
            "held_out": self.held_out,
            "reference": self.reference,
            "components": self.components,
            "alpha": self.alpha,
            "mode": self.mode,
            "features": self.feature_count if self.encoder is None else None,
        }
