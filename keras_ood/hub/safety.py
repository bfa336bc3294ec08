"""What a preset may hold, checked before Keras reads it: loading runs no code of the preset and takes little memory for it."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras

from keras_ood.backend.blueprint import Blueprint, draw
from keras_ood.hub.preset import CONFIG, LARGEST_SIDE, LONGEST_JSON, WEIGHTS, PresetError
from keras_ood.terminal.printable import printable

MOST_OBJECTS = 128
DEEPEST = 32
LARGEST_NUMBER = 2**20
LARGEST_LAYER = 2**28  # weights, at most
LARGEST_MAP = 2**24  # numbers that a layer makes of an image, at most
COPIES = 8  # of a weight, at most, while a detector is built: an ensemble copies its members, these their background models
LONGEST_WORDS = 500  # of Keras, before and after what is left out
UNSAVED = 2**16  # numbers that are built and not in the weights file: metrics, seeds

_LARGEST = {
    "batch_shape": 512,
    "build_input_shape": 512,
    "components": 1024,
    "features": 8192,
    "folds": 64,
    "memory": 8192,
    "stages": 32,
    "widths": 8192,
    "depth": 64,
    "dilation_rate": 8,
    "filters": 512,
    "grid": 512,
    "groups": 512,
    "held_out": LARGEST_NUMBER,
    "image_shape": LARGEST_SIDE,
    "input_shape": 512,
    "kernel_size": 8,
    "latent_dim": 1024,
    "pool_size": 8,
    "reference": LARGEST_NUMBER,
    "strides": 8,
    "units": 1024,
}
"""Integers, or lists of integers, and how large each may be."""

_SHAPES = ("shape", "size", "strides", "rate", "stages", "widths", "grid")
_LONGEST = 32  # of such a list
_ACTIVATIONS = ("linear", "relu", "elu", "silu", "tanh", "sigmoid", "softplus", "gelu", "leaky_relu")
_OBJECTS_OR_NONE = ("_initializer", "_regularizer", "_constraint")

_KERAS = {
    "keras": {"DTypePolicy", "Sequential"},
    "keras.initializers": {"GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Ones", "Zeros"},
    "keras.layers": {
        "AveragePooling2D",
        "Conv2D",
        "Dense",
        "Dropout",
        "Flatten",
        "GlobalAveragePooling2D",
        "InputLayer",
        "LeakyReLU",
        "MaxPooling2D",
        "ReLU",
    },
}
_PACKAGE = "keras_ood>"


def check(folder: Path) -> Blueprint:
    """Check what `keras.saving.load_model(folder)` would build.

    Returns:
        The detector, its variables without values.

    Raises:
        PresetError: The configuration names a class that is neither this package's nor one of the Keras layers that presets are
            made of, nests or measures beyond all use, or asks for more variables than the weights file fills; or that file
            points outside itself or swells.
    """
    config = _check_config(folder / CONFIG)
    held = _check_weights(folder / WEIGHTS)
    try:
        drawn = draw(lambda: keras.saving.deserialize_keras_object(config, safe_mode=True))
        networks = [part for part in drawn.built._flatten_layers() if isinstance(part, keras.Sequential)]
        largest = max((size for network in networks for size in _map_sizes(network, network.input_shape)), default=0)
    except Exception as error:  # whatever Keras makes of a configuration
        raise unbuilt(folder, error) from error
    if largest > LARGEST_MAP:
        raise PresetError(f"A layer makes at most {LARGEST_MAP} numbers of an image. Received: {largest} in {folder}")
    if drawn.numbers > COPIES * held + UNSAVED:
        raise PresetError(
            f"A configuration builds no more than its weights file fills, {held} numbers. "
            f"Received: {folder}, which asks for {drawn.numbers}"
        )
    return drawn


def unbuilt(folder: Path, error: Exception) -> PresetError:
    """Return what to raise where Keras makes no detector of a preset: its last words, not the configuration that it adds."""
    words = printable(str(error).rpartition("Exception encountered: ")[2])
    if len(words) > 2 * LONGEST_WORDS:
        words = f"{words[:LONGEST_WORDS]} ... {words[-LONGEST_WORDS:]}"
    return PresetError(f"The detector in {folder} cannot be built. Received: {type(error).__name__}: {words}")


def _map_sizes(network: keras.Sequential, shape: Any) -> Iterator[int]:
    """Yield how many numbers the input and each layer hold of an image: convolutions can make many with few weights."""
    yield _values(list(shape))
    for layer in network.layers:
        if isinstance(layer, keras.Sequential):
            yield from _map_sizes(layer, shape)
        shape = layer.compute_output_shape(shape)
        yield _values(list(shape))


def _check_config(path: Path) -> Any:
    if path.stat().st_size > LONGEST_JSON:
        raise PresetError(f"A configuration has at most {LONGEST_JSON} bytes. Received: {path} of {path.stat().st_size}")
    try:
        config = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise PresetError(f"Expected JSON as written by Keras. Received: {path} ({error})") from error
    entries = list(_dictionaries(config, path))
    for entry in entries:
        if "class_name" in entry:
            _check_class(entry, path)
        for key, value in entry.items():
            _check_value(key, value, path)
    objects = sum("class_name" in entry for entry in entries)
    if not 0 < objects <= MOST_OBJECTS:
        raise PresetError(f"A configuration has 1 to {MOST_OBJECTS} objects. Received: {objects} in {path}")
    _check_sizes(entries, path)
    for entry in entries:  # later versions of Keras write options of initializers that earlier ones lack
        if entry.get("module") == "keras.initializers" and isinstance(entry.get("config"), dict):
            entry["config"] = {key: value for key, value in entry["config"].items() if value is not None}
    return config


def _check_sizes(entries: list[dict[str, Any]], path: Path) -> None:
    """Bound what the largest layers would take: a decoder's first, and a dense one after flattened features."""
    detectors = sum(_values(entry.get("image_shape")) * (entry.get("latent_dim") or 1) for entry in entries)
    features = max(_values(entry.get("batch_shape")) for entry in entries) * max(entry.get("filters") or 1 for entry in entries)
    dense = features * sum(entry.get("units") or 0 for entry in entries)
    for what, found in (("latent times image values", detectors), ("features times dense units", dense)):
        if found > LARGEST_LAYER:
            raise PresetError(f"A configuration has at most {LARGEST_LAYER} {what}. Received: {found} in {path}")


def _values(shape: Any) -> int:
    return math.prod(size or 1 for size in shape) if isinstance(shape, list) else 1


def _dictionaries(value: Any, path: Path, depth: int = 0) -> Iterator[dict[str, Any]]:
    if depth > DEEPEST:
        raise PresetError(f"A configuration nests at most {DEEPEST} deep. Received: {path}, which nests deeper")
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _dictionaries(part, path, depth + 1)


def _check_class(entry: dict[str, Any], path: Path) -> None:
    name, module, registered = (entry.get(key) for key in ("class_name", "module", "registered_name"))
    if isinstance(registered, str) and registered.startswith(_PACKAGE):  # decides: which module a class is in may change
        known = keras.saving.get_registered_object(registered)
        if known is not None and known.__name__ == name and str(module).split(".")[0] == known.__module__.split(".")[0]:
            return
    elif isinstance(name, str) and registered in (None, name) and isinstance(module, str) and name in _KERAS.get(module, ()):
        return
    raise PresetError(
        f"A preset is built of keras_ood's own classes and of {sorted(set().union(*_KERAS.values()))}; none of it is code. "
        f"Received: class_name={name!r}, module={module!r}, registered_name={registered!r} in {path}"
    )


def _check_value(key: str, value: Any, path: Path) -> None:
    if key in _LARGEST:
        parts = value if isinstance(value, list) and key.endswith(_SHAPES) else [value]
        if len(parts) > _LONGEST or not all(
            part is None or (type(part) is int and 0 <= part <= _LARGEST[key]) for part in parts
        ):
            raise PresetError(f"{key!r} holds integers from 0 to {_LARGEST[key]}. Received: {value!r} in {path}")
    elif key != "shared_object_id" and isinstance(value, (int, float)) and not abs(value) <= LARGEST_NUMBER:
        raise PresetError(f"Numbers in a configuration are at most {LARGEST_NUMBER}. Received: {key}={value} in {path}")
    if key.endswith(_OBJECTS_OR_NONE) and not (value is None or isinstance(value, dict)):
        raise PresetError(f"{key!r} is written out, not called by a name. Received: {value!r} in {path}")
    if key == "activation" and value not in _ACTIVATIONS:
        raise PresetError(f"An activation is one of {_ACTIVATIONS}. Received: {value!r} in {path}")
    if key == "compile_config" and value:
        raise PresetError(f"A preset is not compiled: no optimizer comes with it. Received: {key}={value!r} in {path}")


def _check_weights(path: Path) -> int:
    """Return how many numbers a weights file holds."""
    size, total, numbers = path.stat().st_size, 0, 0
    try:
        with h5py.File(path, "r") as file:
            for dataset in _datasets(file, path, set()):
                total += int(dataset.nbytes)
                numbers += int(dataset.size)
                if dataset.dtype.kind not in "biuf":
                    raise PresetError(f"Weights are numbers. Received: dtype {dataset.dtype} of {dataset.name} in {path}")
                if dataset.is_virtual or dataset.external or dataset.chunks is not None:
                    raise PresetError(f"Weights lie in their file in one piece. Received: {dataset.name} in {path}")
    except PresetError:
        raise
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:  # h5py's, at a damaged file
        raise PresetError(f"Expected weights as written by Keras. Received: {path} ({error})") from error
    if total > size:
        raise PresetError(f"A weights file holds all that it declares. Received: {path}, {total} bytes declared in {size}")
    return numbers


def _datasets(group: Any, path: Path, visited: set[int]) -> Iterator[Any]:
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise PresetError(f"Weights lie in their file alone. Received: {group.name}/{name} in {path}, a link")
        child = group[name]
        address = h5py.h5o.get_info(child.id).addr
        if address in visited:
            raise PresetError(f"A weights file is a tree. Received: {child.name} in {path}, which is in it twice")
        visited.add(address)
        if isinstance(child, h5py.Group):
            yield from _datasets(child, path, visited)
        elif isinstance(child, h5py.Dataset):
            yield child
        else:
            raise PresetError(f"A weights file holds groups and arrays. Received: {child!r} in {path}")
