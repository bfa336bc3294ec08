"""The frozen feature extractors that are known by a name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras

from keras_ood.backend.settings import own_settings
from keras_ood.encoders.efficientnet_lite0 import efficientnet_lite0
from keras_ood.encoders.keras_application import keras_application
from keras_ood.terminal.names import did_you_mean

KERAS = "keras:"
Builder = Callable[[tuple[int, int, int]], keras.Model]


@dataclass(frozen=True)
class Source:
    """Where a frozen encoder comes from.

    Attributes:
        title: Its name in tables and on cards.
        trained_on: What its weights were trained on, as tables say it.
        build: From `(height, width, 3)` to the network: RGB images in 0..1 to a list of maps, one for each stage.
        stages: Indices of the stages that detectors take where nobody names others; None for all.
    """

    title: str
    trained_on: str
    build: Builder
    stages: tuple[int, ...] | None = None


_SOURCES: dict[str, Source] = {
    "efficientnet-lite0": Source("EfficientNet-Lite0", "ImageNet with labels", efficientnet_lite0, (0, 1, 2)),
}


def names() -> list[str]:
    """Return the names of the encoders; beside them goes `"keras:<builder>"`, any network of `keras.applications`."""
    return list(_SOURCES)


def register(name: str, source: Source) -> None:
    """Add an encoder of one's own under a name; presets over it load wherever it is registered first.

    Raises:
        ValueError: The name is taken.
    """
    if not name or name in _SOURCES or name.startswith(KERAS):
        raise ValueError(f"An encoder has a name of its own, none of {names()}, without {KERAS!r}. Received: {name!r}")
    _SOURCES[name] = source


def find(name: str) -> Source:
    """Return where the encoder of that name comes from.

    Raises:
        ValueError: There is none.
    """
    if name.startswith(KERAS):
        builder = name.removeprefix(KERAS)
        return Source(builder, "ImageNet with labels", lambda input_shape: keras_application(builder, input_shape))
    if name not in _SOURCES:
        raise ValueError(
            f'`encoder` must be one of {names()}, "keras:<builder>" or a Keras model.{did_you_mean(name, _SOURCES)} '
            f"Received: {name!r}"
        )
    return _SOURCES[name]


def network(name: str, input_shape: tuple[int, int, int]) -> keras.Model:
    """Return the network of that name, built once for each size and dtype policy: all detectors over it share its weights."""
    return _network(find(name).build, input_shape, keras.config.dtype_policy().name, keras.backend.backend())


@cache
def _network(build: Builder, input_shape: tuple[int, int, int], policy: str, _: Any) -> keras.Model:
    with own_settings(policy):
        built = build(input_shape)
    built.trainable = False
    return built
