"""Hostile presets: each is refused with its reason before Keras reads it, and none of its code runs."""

import contextlib
import inspect
import json
import math
import os
import pickle
import re
import resource
import shutil
from importlib import import_module

import h5py
import keras
import numpy as np
import pytest

import keras_ood
from keras_ood import PresetError, registration
from keras_ood.hub import handles, preset, safety

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


def both(**settings):
    def change(folder):
        for name, value in settings.items():
            setting(name, value)(folder)

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


def piped(folder):
    (folder / "preset.json").unlink()
    os.mkfifo(folder / "preset.json")


piped.seals = True


def described(change):
    """Change `preset.json` alone."""

    def write(folder):
        content = json.loads((folder / "preset.json").read_text())
        change(content)
        (folder / "preset.json").write_text(json.dumps(content))

    write.seals = True
    return write


def layer(name, /, **config):
    return {"module": "keras.layers", "class_name": name, "config": config}


def own(name, /, **config):
    return {"module": "keras_ood", "class_name": name, "registered_name": f"keras_ood>{name}", "config": config}


def encoder(*layers, shape=(16, 16, 1)):
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "encoder", "layers": [layer("InputLayer", batch_shape=[None, *shape]), *layers]},
    }


def gate(features=1024, held_out=2**20, reference=2**20, components=1000):
    layers = (layer("Flatten"), layer("Dense", units=features))
    return own("PerImageGate", encoder=encoder(*layers), held_out=held_out, reference=reference, components=components)


def flow(**config):
    return own("InFlow", **{"image_shape": [16, 16, 1], "depth": 1} | config)


def vae(**config):
    return own("TiltedVAE", **{"image_shape": [16, 16, 1], "latent_dim": 8} | config)


def growing(*layers, shape=(16, 16, 1)):
    """A flow whose gate has an encoder of few weights."""
    return whole(
        json.dumps(
            flow(attention=own("PerImageGate", encoder=encoder(*layers, shape=shape), held_out=20, reference=1, components=2))
        )
    )


def over(network):
    """A detector over an encoder that is not what it should be, its weights file and its `preset.json` in order."""

    def change(folder):
        named = own("FrozenEncoder", network=network, image_shape=[32, 32, 3], stages=[0], digest="0" * 64, widths=[8])
        config = vae(tilt=0, encoder=own("FeatureSpace", encoder=named, memory=1))
        drawn = safety.draw(lambda: keras.saving.deserialize_keras_object(config))
        drawn.allocate().save_weights(folder / "model.weights.h5")
        (folder / "config.json").write_text(json.dumps(config))
        preset.seal(folder, preset.read(folder) | {"default_score": "nll", "calibration_size": {}})

    return change


_GROWS = own("Conv2DTranspose", filters=1, kernel_size=8, strides=8, padding="same")
_ENDS = (layer("GlobalAveragePooling2D"), layer("Dense", units=8))

LARGE = {
    "a gate of many images": flow(attention=gate()),
    "many held-out images alone": flow(attention=gate(features=8, reference=1, components=2)),
    "a reference": flow(attention=gate(held_out=20, reference=2**19)),
    "a gate of a background model": vae(background=flow(attention=gate())),
    "gates of an ensemble's members": own("Ensemble", members=[flow(attention=gate())] * 2),
    "a wide dense layer": encoder(layer("Flatten"), layer("Dense", units=512), shape=(300, 300, 1)),
    "convolutions": encoder(*[layer("Conv2D", filters=512, kernel_size=8, padding="same")] * 8),
    "a latent of a large image": vae(image_shape=[256, 256, 3], latent_dim=1024, tilt=40.0),
    "a deep flow": flow(depth=64),
    "an ensemble of many": own("Ensemble", members=[vae()] * 30),
}
"""Each number is within its own bounds, all of them together are far from what the weights file holds."""

_LAMBDA = {"class_name": "__lambda__", "config": {"value": f"import os; os.environ[{RAN!r}] = 'yes'"}}

HOSTILE = {
    "lambda layer": (
        config_with(module="keras.layers", class_name="Lambda", config={"function": _LAMBDA}),
        "none of it is code.*'Lambda'",
    ),
    "bare lambda": (config_with(**_LAMBDA), "none of it is code.*'__lambda__'"),
    "foreign module": (
        config_with(module="os", class_name="system", config={"command": "true"}),
        "none of it is code.*'system'",
    ),
    "foreign function": (
        config_with(module="builtins", class_name="function", config="exec"),
        "none of it is code.*'function'",
    ),
    "foreign class under a known name": (
        config_with(module="antigravity", class_name="Dense"),
        "none of it is code.*'antigravity'",
    ),
    "own name, foreign module": (
        config_with(module="antigravity", class_name="TiltedVAE", registered_name="keras_ood>TiltedVAE"),
        "none of it is code.*'antigravity'",
    ),
    "another package's registered class": (
        config_with(module="builtins", class_name="Thing", registered_name="other>Thing"),
        "none of it is code.*'other>Thing'",
    ),
    "a layer that reads files": (
        config_with(module="keras.layers", class_name="TFSMLayer", config={"filepath": "/"}),
        "none of it is code.*'TFSMLayer'",
    ),
    "an object deep inside": (
        config_with(
            module="keras", class_name="Sequential", config={"layers": [[{"a": {"class_name": "evil", "module": "os"}}]]}
        ),
        "none of it is code.*'evil'",
    ),
    "a class without a name": (config_with(module="keras", class_name=[]), "none of it is code"),
    "a registered class called by name": (setting("kernel_initializer", "other>Thing"), "written out, not called by a name"),
    "an optimizer": (setting("compile_config", {"optimizer": "adam"}), "is not compiled"),
    "an activation by name": (setting("activation", "other>Thing"), "An activation is one of"),
    "no object": (whole("{}"), "1 to 128 objects"),
    "too many objects": (setting("kl", [{"class_name": "Zeros", "module": "keras.initializers"}] * 200), "1 to 128 objects"),
    "endless nesting": (setting("kl", json.loads("[" * 200 + "]" * 200)), "nests at most 32 deep"),
    "nesting beyond the parser": (whole("[" * 200_000), "Expected JSON"),
    "long configuration": (whole(" " * (2**20 + 1)), "at most 1048576 bytes"),
    "not JSON": (whole("import os"), "Expected JSON"),
    "a huge latent": (setting("latent_dim", 10**9), "'latent_dim' holds integers from 0 to 1024. Received: 1000000000"),
    "a huge latent as a float": (setting("latent_dim", 1e9), "'latent_dim' holds integers"),
    "a huge latent as text": (setting("latent_dim", "1000000000"), "'latent_dim' holds integers"),
    "a huge number": (setting("tilt", 1e30), "Numbers in a configuration are at most"),
    "no number": (setting("tilt", math.nan), "Numbers in a configuration are at most"),
    "a huge image": (setting("image_shape", [16000, 16000, 3]), "'image_shape' holds integers from 0 to 512"),
    "a huge image as text": (setting("image_shape", ["16000", "16000", "3"]), "'image_shape' holds integers"),
    "a wide dense layer of a large image": (
        config_with(
            module="keras",
            class_name="Sequential",
            config={
                "layers": [
                    {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 512, 512, 3]}},
                    {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1024}},
                ]
            },
        ),
        "features times dense units",
    ),
    "a latent of many numbers": (setting("latent_dim", [8, 8]), "'latent_dim' holds integers"),
    "a large latent of a large image": (both(image_shape=[512, 512, 3], latent_dim=1024), "latent times image values"),
    "a negative latent": (setting("latent_dim", -8), "'latent_dim' holds integers"),
    "a network in the place of an encoder's name": (
        setting("encoder", own("FeatureSpace", encoder=encoder(layer("Conv2D", filters=512, kernel_size=8)), memory=1)),
        "names its encoder. Received: a Sequential",
    ),
    "maps that grow": (growing(*[_GROWS] * 5, *_ENDS), "A layer makes at most"),
    "maps that grow inside of another network": (
        growing(encoder(*[_GROWS] * 5, shape=(None, None, 1)), *_ENDS),
        "A layer makes at most",
    ),
    "a large input": (growing(*_ENDS, shape=(2**16, 2**16, 1)), "'batch_shape' holds integers"),
    "a large input by another name": (
        growing(layer("InputLayer", shape=[2**16, 2**16, 1]), *_ENDS),
        "A layer makes at most|cannot be built",
    ),
    "a terminal's command": (setting("name", "\x1b[2J/"), r"cannot be built. Received: [^\x1b]*\\x1b\[2J/[^\x1b]*$"),
    "a long text": (setting("architecture", "x" * 2**19), "cannot be built. Received: .{,1100}$"),
    "an encoder of other weights": (over("efficientnet-lite0"), "cannot be built. Received: ValueError: The encoder"),
    "a network that Keras has not": (over("keras:../evil"), r"cannot be built. Received: .* Received: '\.\./evil'"),
    "a configuration that does not fit": (setting("latent_dim", 4), "cannot be built|golden"),
    "a large gate in the place of a name": (setting("name", gate()), "cannot be built"),
    "a layer that was built for more": (
        whole(json.dumps(encoder(layer("Dense", units=1024) | {"build_config": {"input_shape": [None, 512]}}))),
        "cannot be built",
    ),
    "a configuration without its weights": (setting("architecture", "evil"), "cannot be built"),
    "pickle in place of weights": (pickled, "Expected weights"),
    "weights that swell": (
        weights(lambda file: file.create_dataset("huge", shape=(10**6, 10**6), chunks=(1000, 1000), dtype="f4")),
        "in one piece",
    ),
    "compressed weights": (
        weights(
            lambda file: file.create_dataset(
                "zeros", data=np.zeros(10, "f4"), chunks=(2**20,), maxshape=(None,), compression="gzip"
            )
        ),
        "in one piece",
    ),
    "weights that are not there": (
        weights(lambda file: file.create_dataset("huge", shape=(10**6, 10**6), dtype="f4")),
        "holds all that it declares",
    ),
    "a group in itself": (weights(lambda file: file["layers"].__setitem__("again", file["layers"])), "is a tree"),
    "a committed type": (weights(lambda file: file.__setitem__("type", np.dtype("f4"))), "holds groups and arrays"),
    "weights in another file": (weights(lambda file: file.update({"link": h5py.ExternalLink("/etc/passwd", "/")})), "a link"),
    "a soft link": (weights(lambda file: file.update({"link": h5py.SoftLink("/layers")})), "a link"),
    "external storage": (
        weights(lambda file: file.create_dataset("raw", shape=(10,), dtype="u1", external=[("/etc/passwd", 0, 10)])),
        "in one piece",
    ),
    "objects among the weights": (
        weights(lambda file: file.create_dataset("text", data="code", dtype=h5py.string_dtype())),
        "Weights are numbers",
    ),
    "a link out of the folder": (linked, "lie in their own|lie in its own folder"),
    "a path out of the folder": (
        described(lambda content: content["files"].update({"../evil": {"size": 1, "sha256": ""}})),
        "own folder alone",
    ),
    "an absolute path": (
        described(lambda content: content["files"].update({"/etc/passwd": {"size": 1, "sha256": ""}})),
        "own folder alone",
    ),
    "a hidden file": (
        described(lambda content: content["files"].update({".bashrc": {"size": 1, "sha256": ""}})),
        "own folder alone",
    ),
    "sizes beyond all use": (
        described(lambda content: content["files"].update({"a": {"size": 10**12, "sha256": ""}})),
        "at most 2147483648 bytes",
    ),
    "a negative size": (
        described(lambda content: content["files"].update({"a": {"size": -1, "sha256": ""}})),
        "at most 2147483648 bytes",
    ),
    "files of another form": (described(lambda content: content.update(files=["config.json"])), "Expected a preset.json"),
    "no weights listed": (
        described(lambda content: content["files"].pop("model.weights.h5")),
        "without \\['model.weights.h5'\\]",
    ),
    "a golden score that is no number": (
        described(lambda content: content.update(golden_scores=[math.nan] * 8)),
        "finite numbers",
    ),
    "other golden scores": (
        described(lambda content: content.update(golden_scores=[1.0] * 8)),
        "does not give its golden scores",
    ),
    "no golden scores": (described(lambda content: content.update(golden_scores=[])), "does not give its golden scores"),
    "many golden scores": (described(lambda content: content.update(golden_scores=[1.0] * 1000)), "at most 8 finite numbers"),
    "a size as text": (
        described(lambda content: content["files"]["config.json"].update(size="1")),
        r"\['config.json'\]\['size'\] of type str, not int",
    ),
    "a file of a long name": (
        described(lambda content: content["files"].update({"a" * 300: {"size": 0, "sha256": ""}})),
        "own folder alone",
    ),
    "many files": (
        described(lambda content: content["files"].update({f"a{number}": {"size": 0, "sha256": ""} for number in range(100)})),
        "64 files at most",
    ),
    "no family": (described(lambda content: content.pop("family")), "no 'family'"),
    "a score without a name": (
        described(lambda content: content.update(default_score=[])),
        r"\['default_score'\] of type list",
    ),
    "a calibration of fewer than no images": (
        described(lambda content: content.update(calibration_size={"nll": -1})),
        "of no images",
    ),
    "a calibration of more images than there are": (
        described(lambda content: content["calibration_size"].update(nll=10**6)),
        "describes the detector",
    ),
    "a title that is none": (
        described(lambda content: content.update(in_distribution={"title": ["a"]})),
        r"\['title'\] of type list, not str",
    ),
    "images of another size": (described(lambda content: content.update(input_shape=[512, 512, 1])), "describes the detector"),
    "images of a huge size": (described(lambda content: content.update(input_shape=[10**5, 10**5, 1])), "`input_shape`"),
    "another family": (described(lambda content: content.update(family="InFlow")), "describes the detector"),
    "another format": (described(lambda content: content.update(format=2)), "format 2, read here: 1"),
    "an infinite size": (
        described(lambda content: content["files"].update({"a": {"size": math.inf, "sha256": ""}})),
        "Expected a preset.json",
    ),
    "a pipe in place of preset.json": (piped, "without it"),
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


@pytest.mark.once
@pytest.mark.parametrize("name", LARGE)
def test_no_configuration_builds_more_than_its_weights(name, folder):
    """What a small file could not fill is refused before a number of it is allocated."""
    (folder / "config.json").write_text(json.dumps(LARGE[name]))
    preset.seal(folder, preset.read(folder))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PresetError, match="builds no more than its weights file fills"):
        keras_ood.from_pretrained(folder)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200_000  # KiB


def test_an_honest_copy_loads(folder):
    """The same way without a change: the tests above fail for their reason alone."""
    preset.seal(folder, preset.read(folder))
    keras_ood.from_pretrained(folder)


def test_options_of_a_later_keras_are_not_asked_of_this_one(tmp_path):
    """Keras 3.15 writes options of initializers, None all, that 3.12, the last for Python 3.10, refuses."""
    folder = shutil.copytree(handles.resolve("inflow-mnist-pixels"), tmp_path / "flow")
    config = (folder / "config.json").read_text()
    assert '"input_axes": null' in config
    (folder / "config.json").write_text(config.replace('"input_axes": null', '"of_a_later_keras": null'))
    safety.check(folder)


def test_what_could_not_be_loaded_is_not_saved(fresh, tmp_path):
    """A gate with an encoder beyond the allow-list is refused when it is saved, not when somebody loads it."""
    encoder = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.UpSampling2D(), keras.layers.Flatten()])
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), dtype=np.uint8)
    flow = keras_ood.models.InFlow(
        (8, 8, 1), depth=1, attention=keras_ood.attention.PerImageGate.from_images(encoder, images, images, components=2)
    )
    with pytest.raises(PresetError, match="'UpSampling2D'"):
        flow.save_pretrained(tmp_path / "flow")


def test_damaged_weights_are_one_kind_of_error(folder):
    """Whatever h5py makes of turned bytes, the caller gets a `PresetError` or an honest detector."""
    whole_file = (folder / "model.weights.h5").read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(60):
        content = bytearray(whole_file)
        for at in generator.integers(0, min(len(content), 4096), 8):
            content[at] ^= 255
        (folder / "model.weights.h5").write_bytes(content)
        with contextlib.suppress(PresetError):
            safety.check(folder)


@pytest.mark.parametrize("name", registration.CLASSES)
def test_every_size_of_ours_has_a_bound_of_its_own(name):
    """A whole number that builds a class is bounded by its name, not by what any number may be."""
    built = getattr(import_module(f"keras_ood.{registration.CLASSES[name]}"), name)
    sizes = {each.name for each in inspect.signature(built).parameters.values() if re.search(r"\bint\b", str(each.annotation))}
    assert sizes <= set(safety._LARGEST)


@pytest.mark.parametrize("name", keras_ood.list_models())
def test_the_zoo_is_within_the_bounds(name):
    """No preset of ours comes near what is refused."""
    safety.check(handles.resolve(name))
