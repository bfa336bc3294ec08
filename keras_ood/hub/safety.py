"""What a preset may hold: checked before Keras reads it, so that loading runs no code of the preset and takes no memory for it."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras

from keras_ood.hub.preset import LONGEST_JSON, PresetError

LARGEST_INTEGER = 2**14
LARGEST_SHAPE = 2**22  # values of one image
MOST_OBJECTS = 512
DEEPEST = 64

_KERAS = {
    "keras": {"DTypePolicy", "Functional", "Sequential"},
    "keras.initializers": {"Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Ones", "RandomNormal", "Zeros"},
    "keras.layers": {
        "Activation",
        "Add",
        "AveragePooling2D",
        "BatchNormalization",
        "Concatenate",
        "Conv2D",
        "Conv2DTranspose",
        "Dense",
        "DepthwiseConv2D",
        "Dropout",
        "Flatten",
        "GlobalAveragePooling2D",
        "GroupNormalization",
        "InputLayer",
        "LayerNormalization",
        "LeakyReLU",
        "MaxPooling2D",
        "Multiply",
        "ReLU",
        "Rescaling",
        "Reshape",
        "SeparableConv2D",
        "UpSampling2D",
        "ZeroPadding2D",
    },
}
_PACKAGE = "keras_ood>"


def check(folder: Path) -> None:
    """Check what `keras.saving.load_model(folder)` would build.

    Raises:
        PresetError: The configuration names a class that is neither this package's nor one of the Keras layers that presets are
            made of, nests or measures beyond all use, or the weights file points outside itself or swells.
    """
    _check_config(folder / "config.json")
    _check_weights(folder / "model.weights.h5")


def _check_config(path: Path) -> None:
    if path.stat().st_size > LONGEST_JSON:
        raise PresetError(f"A configuration has at most {LONGEST_JSON} bytes. Received: {path} of {path.stat().st_size}")
    try:
        config = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise PresetError(f"Expected JSON as written by Keras. Received: {path} ({error})") from error
    objects = 0
    for value in _values(config, path):
        if isinstance(value, dict) and "class_name" in value:
            objects += 1
            _check_class(value, path)
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            raise PresetError(f"Numbers in a configuration are at most {LARGEST_INTEGER}. Received: {value} in {path}")
        if isinstance(value, list) and value and all(isinstance(size, (int, type(None))) for size in value):
            if abs(math.prod(size or 1 for size in value)) > LARGEST_SHAPE:
                raise PresetError(f"Shapes in a configuration have at most {LARGEST_SHAPE} values. Received: {value} in {path}")
    if not 0 < objects <= MOST_OBJECTS:
        raise PresetError(f"A configuration has 1 to {MOST_OBJECTS} objects. Received: {objects} in {path}")


def _values(value: Any, path: Path, depth: int = 0) -> Iterator[Any]:
    if depth > DEEPEST:
        raise PresetError(f"A configuration nests at most {DEEPEST} deep. Received: {path}, which nests deeper")
    yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _values(part, path, depth + 1)


def _check_class(entry: dict[str, Any], path: Path) -> None:
    name, module, registered = (entry.get(key) for key in ("class_name", "module", "registered_name"))
    if isinstance(registered, str) and registered.startswith(_PACKAGE):
        known = keras.saving.get_registered_object(registered)
        if known is not None and (known.__name__, known.__module__) == (name, module):
            return
    elif registered in (None, name) and isinstance(module, str) and name in _KERAS.get(module, ()):
        return
    raise PresetError(
        f"A preset is built of keras_ood's own classes and of {sorted(set().union(*_KERAS.values()))}; none of it is code. "
        f"Received: class_name={name!r}, module={module!r}, registered_name={registered!r} in {path}"
    )


def _check_weights(path: Path) -> None:
    size, total = path.stat().st_size, 0
    try:
        with h5py.File(path, "r") as file:
            for dataset in _datasets(file, path):
                total += int(dataset.nbytes)
                if dataset.dtype.hasobject or dataset.dtype.kind not in "biuf":
                    raise PresetError(f"Weights are numbers. Received: dtype {dataset.dtype} of {dataset.name} in {path}")
                if dataset.is_virtual or dataset.external:
                    raise PresetError(f"Weights lie in their file alone. Received: {dataset.name} in {path}, stored elsewhere")
    except OSError as error:
        raise PresetError(f"Expected weights as written by Keras. Received: {path} ({error})") from error
    if total > size:
        raise PresetError(f"A weights file holds all that it declares. Received: {path}, {total} bytes declared in {size}")


def _datasets(group: Any, path: Path) -> Iterator[Any]:
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise PresetError(f"Weights lie in their file alone. Received: {group.name}/{name} in {path}, a link")
        child = group[name]
        if isinstance(child, h5py.Group):
            yield from _datasets(child, path)
        else:
            yield child
