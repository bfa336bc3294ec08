"""A network of somebody's training as a feature extractor."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_ood.backend.blueprint import drawing
from keras_ood.backend.compiled import is_concrete
from keras_ood.backend.settings import own_settings
from keras_ood.encoders import registry
from keras_ood.images.preprocessing import Preprocessing, interpolate


@keras.saving.register_keras_serializable(package="keras_ood")
class FrozenEncoder(keras.layers.Layer):  # type: ignore[misc]
    """Images to the features of several stages of a frozen network.

    With `m_s(x)` the mean over height and width of stage `s`'s map, the features are `m_s(x) / |m_s(x)|` of each stage, side by
    side. The network is shared by all detectors over it and is in none of their presets: name and digest of its weights are.

    Args:
        network: A name of `keras_ood.encoders.names()`, `"keras:<builder>"` of `keras.applications`, or a Keras model from
            images in 0..1 to one map `(batch, height, width, channels)` or a list of them, one for each stage; of a backbone of
            keras-hub its `pyramid_outputs`.
        image_shape: `(height, width, channels)` to which images are resized for the network; None for a model's own, else
            `(128, 128, 3)`.
        stages: Indices of the stages, rising; None for those that are usual for the network.
        digest: SHA-256 of the weights that the network must have, in hex; None for whatever it has.
        widths: Channels of each of the stages, as a configuration keeps them; None to look.

    Raises:
        RuntimeError: The network's package is not installed; the message is the line that installs it.
        ValueError: An unknown name, stages that the network has not, or weights of another digest.
    """

    def __init__(
        self,
        network: str | keras.Model,
        image_shape: Sequence[int] | None = None,
        stages: Sequence[int] | None = None,
        digest: str | None = None,
        widths: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(trainable=False, autocast=False, **kwargs)
        if isinstance(network, keras.Model):
            if drawing():  # a preset's configuration, which nobody trusts: it builds no network
                raise ValueError(f"A configuration names its encoder. Received: a {type(network).__name__}")
            own = tuple(getattr(network, "input_shape", ())[1:])
            image_shape = own if image_shape is None and None not in own else image_shape
            network = registry.register_model(network)
        if not isinstance(network, str):
            raise ValueError(f"`encoder` must be the name of one or a Keras model. Received: {network!r}")
        self.source = registry.find(network)
        self.network = network
        self.preprocessing = Preprocessing((128, 128, 3) if image_shape is None else tuple(image_shape))  # type: ignore[arg-type]
        self.image_shape = self.preprocessing.image_shape
        if digest is None or widths is None or stages is None:
            if drawing():  # likewise
                raise ValueError(
                    f"A configuration has `digest`, `widths` and `stages`. Received: {digest=}, {widths=}, {stages=}"
                )
            found = registry.network(self.network, self.image_shape, self.dtype_policy.name)
            digest = digest or found.digest
            stages = self._chosen(stages, found)
            widths = [found.widths[stage] for stage in stages]
        self.stages, self.widths, self.digest = tuple(stages), tuple(widths), digest
        if len(self.stages) != len(self.widths) or not self.stages:
            raise ValueError(f"Each of the `stages` has a width. Received: {stages=}, {widths=}")
        self._verified = False
        self.built = True

    def _chosen(self, stages: Sequence[int] | None, found: registry.Network) -> tuple[int, ...]:
        every = range(len(found.widths))
        chosen = tuple(stages) if stages is not None else self.source.stages or tuple(every)
        if not chosen or list(chosen) != sorted(set(chosen)) or not set(chosen) <= set(every):
            raise ValueError(f"`stages` of {self.network!r} are of {list(every)}, rising. Received: {stages!r}")
        return chosen

    @property
    def width(self) -> int:
        """Number of features of all stages."""
        return sum(self.widths)

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the features: `network`, `image_shape`, `stages`, `digest`."""
        return {
            "network": self.network,
            "image_shape": list(self.image_shape),
            "stages": list(self.stages),
            "digest": self.digest,
        }

    def provenance(self) -> dict[str, Any]:
        """Return what a preset says of it: `identity`, `title` and `trained_on`, JSON values."""
        return {"title": self.source.title, "trained_on": self.source.trained_on, **self.identity}

    def ready(self) -> registry.Network:
        """Return the network, built now if it was not, with the weights that it must have.

        Raises:
            ValueError: They are others.
        """
        found = registry.network(self.network, self.image_shape, self.dtype_policy.name)
        if not self._verified:
            widths = tuple(found.widths[stage] for stage in self.stages if 0 <= stage < len(found.widths))
            if (found.digest, widths) != (self.digest, self.widths):
                raise ValueError(
                    f"The encoder {self.network!r} must have the weights of SHA-256 {self.digest} and the widths {self.widths} "
                    f"at the stages {self.stages}. Received: {found.digest}, {widths}"
                )
            self._verified = True
        return found

    @property
    def borrowed_variables(self) -> list[Any]:
        """The network's variables, which are not the detector's."""
        return list(self.ready().model.variables)

    def maps(self, images: Any) -> list[Any]:
        """Return the maps of the stages, `(batch, height, width, channels)` each, of raw or preprocessed images."""
        prepared, network = self.preprocessing(images), self.ready()
        found = network.compiled(prepared) if is_concrete(prepared) else network.model(prepared, training=False)
        maps = found if isinstance(found, (list, tuple)) else [found]
        return [maps[stage] for stage in self.stages]

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """As any Keras layer; float32 whatever `keras.config.set_floatx` says."""
        with own_settings():
            return super().__call__(*inputs, **options)

    def call(self, images: Any) -> Any:
        """Return the features, float32 `(batch, width)`, of `(batch, height, width, 1 or 3)` images."""
        means = [ops.mean(ops.cast(stage, "float32"), axis=(1, 2)) for stage in self.maps(images)]
        return ops.concatenate([_of_length_one(mean) for mean in means], axis=-1)

    def local_features(self, images: Any, like: int) -> Any:
        """Return the features at every position, float32 `(batch, h, w, width)`, of raw or preprocessed images.

        As `call` over a neighbourhood in place of the whole image: each stage's map is averaged over 3x3 of its positions,
        brought to the grid of the stage at position `like`, and divided by its length at each position.

        Source: Roth et al., "PatchCore", arXiv 2106.08265 (locally aware features).
        """
        maps = [ops.cast(stage, "float32") for stage in self.maps(images)]
        grid = tuple(maps[like].shape[1:3])
        means = [ops.average_pool(stage, 3, 1, "same", data_format="channels_last") for stage in maps]
        return ops.concatenate([_of_length_one(interpolate(mean, grid)) for mean in means], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The batch dimension, then `width`."""
        return (input_shape[0], self.width)

    def compute_output_spec(self, images: Any, **_: Any) -> Any:
        """Without the network, which need not be there to say so (called by Keras)."""
        return keras.KerasTensor((images.shape[0], self.width), "float32")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name, **self.identity, "widths": list(self.widths)}


def _of_length_one(features: Any) -> Any:
    return features / ops.sqrt(ops.maximum(ops.sum(ops.square(features), axis=-1, keepdims=True), 1e-12))
