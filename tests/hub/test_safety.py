"""Hostile presets: each is refused with its reason before Keras reads it, and none of its code runs."""

import json
import os
import pickle

import h5py
import numpy as np
import pytest

import keras_ood
from keras_ood import PresetError
from keras_ood.hub import preset

RAN = "KERAS_OOD_TEST_CODE_RAN"


def config_with(**entry):
    """Put an object in the place of the background model."""

    def change(folder):
        config = json.loads((folder / "config.json").read_text())
        config["config"]["background"] = {"config": {}, "registered_name": None} | entry
        (folder / "config.json").write_text(json.dumps(config))

    return change


def setting(name, value):
    def change(folder):
        config = json.loads((folder / "config.json").read_text())
        config["config"][name] = value
        (folder / "config.json").write_text(json.dumps(config))

    return change


def whole(config):
    return lambda folder: (folder / "config.json").write_text(config)


def weights(change):
    def write(folder):
        with h5py.File(folder / "model.weights.h5", "a") as file:
            change(file)

    return write


class _Code:
    def __reduce__(self):
        return (exec, (f"import os; os.environ[{RAN!r}] = 'yes'",))


def pickled(folder):
    with open(folder / "model.weights.h5", "wb") as file:
        pickle.dump(_Code(), file)


def linked(folder):
    (folder / "model.weights.h5").rename(folder.parent / "elsewhere.h5")
    (folder / "model.weights.h5").symlink_to(folder.parent / "elsewhere.h5")


def described(change):
    """Change `preset.json` alone."""

    def write(folder):
        content = json.loads((folder / "preset.json").read_text())
        change(content)
        (folder / "preset.json").write_text(json.dumps(content))

    write.seals = True
    return write


_LAMBDA = {"class_name": "__lambda__", "config": {"value": f"import os; os.environ[{RAN!r}] = 'yes'"}}

HOSTILE = {
    "lambda layer": (config_with(module="keras.layers", class_name="Lambda", config={"function": _LAMBDA}), "none of it is code.*'Lambda'"),
    "bare lambda": (config_with(**_LAMBDA), "none of it is code.*'__lambda__'"),
    "foreign module": (config_with(module="os", class_name="system", config={"command": "true"}), "none of it is code.*'system'"),
    "foreign function": (config_with(module="builtins", class_name="function", config="exec"), "none of it is code.*'function'"),
    "foreign class under a known name": (config_with(module="antigravity", class_name="Dense"), "none of it is code.*'antigravity'"),
    "own name, foreign module": (
        config_with(module="antigravity", class_name="TiltedVAE", registered_name="keras_ood>TiltedVAE"),
        "none of it is code.*'antigravity'",
    ),
    "another package's registered class": (
        config_with(module="builtins", class_name="Thing", registered_name="other>Thing"),
        "none of it is code.*'other>Thing'",
    ),
    "a layer that reads files": (config_with(module="keras.layers", class_name="TFSMLayer", config={"filepath": "/"}), "none of it is code.*'TFSMLayer'"),
    "an object deep inside": (
        config_with(module="keras", class_name="Sequential", config={"layers": [[{"a": {"class_name": "evil", "module": "os"}}]]}),
        "none of it is code.*'evil'",
    ),
    "no object": (whole("{}"), "1 to 512 objects"),
    "too many objects": (setting("kl", [{"class_name": "Zeros", "module": "keras.initializers"}] * 600), "1 to 512 objects"),
    "endless nesting": (setting("kl", json.loads("[" * 200 + "]" * 200)), "nests at most 64 deep"),
    "nesting beyond the parser": (whole("[" * 200_000), "Expected JSON"),
    "long configuration": (whole(" " * (2**20 + 1)), "at most 1048576 bytes"),
    "not JSON": (whole("import os"), "Expected JSON"),
    "a huge latent": (setting("latent_dim", 10**9), "at most 16384. Received: 1000000000"),
    "a huge image": (setting("image_shape", [16000, 16000, 3]), "at most 4194304 values"),
    "pickle in place of weights": (pickled, "Expected weights"),
    "weights that swell": (
        weights(lambda file: file.create_dataset("huge", shape=(10**6, 10**6), chunks=(1000, 1000), dtype="f4")),
        "holds all that it declares",
    ),
    "compressed weights": (
        weights(lambda file: file.create_dataset("zeros", data=np.zeros(10**7, "f4"), compression="gzip")),
        "holds all that it declares",
    ),
    "weights in another file": (weights(lambda file: file.update({"link": h5py.ExternalLink("/etc/passwd", "/")})), "a link"),
    "a soft link": (weights(lambda file: file.update({"link": h5py.SoftLink("/layers")})), "a link"),
    "external storage": (
        weights(lambda file: file.create_dataset("raw", shape=(10,), dtype="u1", external=[("/etc/passwd", 0, 10)])),
        "stored elsewhere",
    ),
    "objects among the weights": (weights(lambda file: file.create_dataset("text", data="code", dtype=h5py.string_dtype())), "Weights are numbers"),
    "a link out of the folder": (linked, "lie in their own|lie in its own folder"),
    "a path out of the folder": (described(lambda content: content["files"].update({"../evil": {"size": 1, "sha256": ""}})), "own folder alone"),
    "an absolute path": (described(lambda content: content["files"].update({"/etc/passwd": {"size": 1, "sha256": ""}})), "own folder alone"),
    "a hidden file": (described(lambda content: content["files"].update({".bashrc": {"size": 1, "sha256": ""}})), "own folder alone"),
    "sizes beyond all use": (described(lambda content: content["files"].update({"a": {"size": 10**12, "sha256": ""}})), "at most 2147483648 bytes"),
    "a negative size": (described(lambda content: content["files"].update({"a": {"size": -1, "sha256": ""}})), "at most 2147483648 bytes"),
    "files of another form": (described(lambda content: content.update(files=["config.json"])), "Expected a preset.json"),
    "no weights listed": (described(lambda content: content["files"].pop("model.weights.h5")), "without \\['model.weights.h5'\\]"),
    "a long preset.json": (described(lambda content: content.update(note=" " * 2**20)), "at most 1048576 bytes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_presets_are_refused(name, folder, monkeypatch):
    """Though every checksum is right, each is refused with its reason, and no code of it has run."""
    monkeypatch.delenv(RAN, raising=False)
    change, message = HOSTILE[name]
    change(folder)
    if not hasattr(change, "seals"):
        preset.seal(folder, preset.read(folder))
    with pytest.raises(PresetError, match=message):
        keras_ood.from_pretrained(folder)
    assert RAN not in os.environ


def test_an_honest_copy_loads(folder):
    """The same way without a change: the tests above fail for their reason alone."""
    preset.seal(folder, preset.read(folder))
    keras_ood.from_pretrained(folder)


@pytest.mark.parametrize("name", keras_ood.list_models())
def test_the_zoo_is_within_the_bounds(name):
    """No preset of ours comes near what is refused."""
    from keras_ood.hub import handles, safety

    safety.check(handles.resolve(name))
