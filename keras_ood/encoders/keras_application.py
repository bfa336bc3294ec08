"""Any network of `keras.applications` as one of several stages."""

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any

import keras

from keras_ood.networks.for_xla import for_xla
from keras_ood.terminal.names import did_you_mean

_STAGES = 3  # the deepest resolutions


def keras_application(builder: str, input_shape: tuple[int, int, int], weights: str | None = "imagenet") -> keras.Model:
    """Return a network of `keras.applications` from RGB images in 0..1 to the maps of its three deepest resolutions.

    A stage is the last map of one resolution. Keras downloads the weights, once.

    Args:
        builder: Name of the network's function or class, such as `"MobileNetV2"`.
        input_shape: `(height, width, 3)`.
        weights: As the builder takes them; None for random ones.

    Raises:
        ValueError: There is no such network, or it does not take images of that shape.
    """
    module = _module_of(builder)
    network = for_xla(getattr(module, builder)(include_top=False, weights=weights, input_shape=input_shape))
    inputs = keras.Input(input_shape, name="images")
    prepared = module.preprocess_input(inputs * 255.0, data_format="channels_last")
    last = {layer.output.shape[1:3]: layer.output for layer in network.layers if _is_map(layer)}
    maps = list(last.values())[-_STAGES:]
    outputs = keras.Model(network.inputs, maps)(prepared, training=False)
    return keras.Model(inputs, outputs if isinstance(outputs, list) else [outputs], name=builder.lower())


def _is_map(layer: keras.layers.Layer) -> bool:
    output = layer.output
    return not isinstance(layer, (keras.layers.InputLayer, keras.layers.ZeroPadding2D)) and (
        not isinstance(output, list) and len(output.shape) == 4
    )


def _module_of(builder: str) -> ModuleType:
    """The module of `keras.applications` with that builder and its `preprocess_input`."""
    found: dict[str, ModuleType] = {}
    for entry in pkgutil.iter_modules(keras.applications.__path__):
        module: Any = importlib.import_module(f"{keras.applications.__name__}.{entry.name}")
        if hasattr(module, "preprocess_input"):
            found |= {name: module for name, value in vars(module).items() if name[0].isupper() and inspect.isfunction(value)}
    if builder not in found:
        raise ValueError(f"`keras:<builder>` names one of {sorted(found)}.{did_you_mean(builder, found)} Received: {builder!r}")
    return found[builder]
