"""The frozen feature extractors that are known by a name."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import keras
import numpy as np

from keras_ood.backend.compiled import compiled
from keras_ood.backend.eagerly import eagerly
from keras_ood.backend.settings import own_settings
from keras_ood.encoders.efficientnet_lite0 import efficientnet_lite0, untrained_efficientnet_lite0
from keras_ood.encoders.keras_application import keras_application
from keras_ood.networks.for_xla import for_xla
from keras_ood.terminal.names import did_you_mean

KERAS = "keras:"
OWN = "own:"
Shape = tuple[int, int, int]
Builder = Callable[[Shape], keras.Model]


@dataclass(frozen=True)
class Source:
    """Where a frozen encoder comes from.

    Attributes:
        title: Its name in tables and on cards.
        trained_on: What its weights were trained on, as tables say it.
        build: From `(height, width, 1 or 3)` to the network: images in 0..1 to a list of maps, one for each stage.
        stages: Indices of the stages that detectors take where nobody names others; None for all.
    """

    title: str
    trained_on: str
    build: Builder
    stages: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Network:
    """A network that is built, with the digest of its weights.

    Attributes:
        model: From images in 0..1 to a list of maps `(batch, height, width, channels)`.
        digest: SHA-256 of the weights, in hex.
    """

    model: keras.Model
    digest: str

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of channels of each stage."""
        return tuple(int(output.shape[-1]) for output in self.model.outputs)

    @cached_property
    def compiled(self) -> Callable[[Any], Any]:
        """`model` of a tensor, compiled once for all that look through it."""
        return compiled(lambda images: self.model(images, training=False), self.model, any_batch=True)


_SOURCES: dict[str, Source] = {
    "efficientnet-lite0": Source("EfficientNet-Lite0", "ImageNet with labels", efficientnet_lite0, (0, 1, 2)),
    "efficientnet-lite0-untrained": Source("untrained EfficientNet-Lite0", "nothing", untrained_efficientnet_lite0, (0, 1, 2)),
}


def names() -> list[str]:
    """Return the names of the encoders; beside them goes `"keras:<builder>"`, any network of `keras.applications`."""
    return [name for name in _SOURCES if not name.startswith(OWN)]


def register(name: str, source: Source) -> None:
    """Add an encoder of one's own under a name; presets over it load wherever it is registered first.

    Raises:
        ValueError: The name is taken.
    """
    if not name or name in _SOURCES or name.startswith((KERAS, OWN)):
        raise ValueError(
            f"An encoder has a name of its own, none of {names()}, without {KERAS!r} and {OWN!r}. Received: {name!r}"
        )
    _SOURCES[name] = source


def register_model(model: keras.Model, title: str | None = None, trained_on: str = "unknown") -> str:
    """Return the name under which a copy of a network of the caller's own is known in this process: by weights and layers.

    Args:
        model: The network; of a backbone of keras-hub, which has `pyramid_outputs`, those are the maps.
        title: Its name in tables; None for the model's own.
        trained_on: What its weights were trained on, as tables say it.

    Raises:
        ValueError: It does not map images to maps.
    """
    if getattr(model, "pyramid_outputs", None):
        model = keras.Model(model.inputs, list(model.pyramid_outputs.values()), name=model.name)
    _check(model)
    architecture = model.to_json()
    for number, layer in enumerate([model, *model.layers]):  # their names are counted up
        architecture = architecture.replace(f'"{layer.name}"', f'"{number}"')
    name = OWN + hashlib.sha256(f"{architecture}{_digest(model)}".encode()).hexdigest()[:16]
    if name not in _SOURCES:
        copy = for_xla(model)  # what the caller does to the model from now on is another one
        _SOURCES[name] = Source(title or model.name, trained_on, lambda shape: _of_shape(copy, shape))
    elif title is not None:
        _SOURCES[name] = replace(_SOURCES[name], title=title, trained_on=trained_on)
    return name


def find(name: str) -> Source:
    """Return where the encoder of that name comes from.

    Raises:
        ValueError: There is none.
    """
    if name.startswith(KERAS):
        return _application(name.removeprefix(KERAS))
    if name.startswith(OWN) and name not in _SOURCES:
        raise ValueError(
            "An encoder of somebody's own is known once `keras_ood.encoders.FrozenEncoder(model)` was given it. "
            f"Received: {name!r}, named by the SHA-256 of its weights"
        )
    if name not in _SOURCES:
        raise ValueError(
            f'`encoder` must be one of {names()}, "keras:<builder>" or a Keras model; one of your own is given to '
            f"`keras_ood.encoders.register` first.{did_you_mean(name, names())} Received: {name!r}"
        )
    return _SOURCES[name]


def network(name: str, input_shape: Shape, policy: str = "float32") -> Network:
    """Return the network of that name, built once for each size and dtype policy: all detectors over it share its weights."""
    return _network(find(name).build, input_shape, policy, keras.backend.backend())


@cache
def _application(builder: str) -> Source:
    return Source(builder, "ImageNet with labels", lambda input_shape: keras_application(builder, input_shape))


@cache
def _network(build: Builder, input_shape: Shape, policy: str, _: Any) -> Network:
    def make() -> Network:
        state = random.getstate()  # of which Keras' initializers take their seeds
        try:
            with own_settings(policy):
                model = build(input_shape)
        finally:
            random.setstate(state)
        _check(model)
        model.trainable = False
        return Network(model, _digest(model))

    return eagerly(make)


def _of_shape(model: keras.Model, shape: Shape) -> keras.Model:
    own = tuple(model.input_shape[1:])
    if any(size not in (None, asked) for size, asked in zip(own, shape, strict=True)):
        raise ValueError(f"This encoder takes images of {tuple(model.input_shape[1:])}. Received: image_shape={shape}")
    return model


def _check(model: Any) -> None:
    outputs = getattr(model, "outputs", None) or []
    ranks = [len(output.shape) for output in outputs]
    if not outputs or not all(rank == 4 for rank in ranks) or len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        found = [tuple(output.shape) for output in outputs] if outputs else type(model).__name__
        raise ValueError(
            "An encoder is a Keras model from images (batch, height, width, channels) to one map of that rank or a list of "
            f"them, one for each stage. Received: {found}"
        )


def _digest(model: keras.Model) -> str:
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight, np.float32).tobytes())
    return digest.hexdigest()
