"""Preset folders: what is written, and that nothing damaged is ever loaded."""

import json
import os

import numpy as np
import pytest

import keras_ood
from keras_ood import PresetError, loading
from keras_ood.calibration.guarantees import promise
from keras_ood.cards import card
from keras_ood.hub import handles, preset, serialization
from keras_ood.hub.content import promised
from keras_ood.recipes.recipe import Recipe


@pytest.mark.parametrize("name", keras_ood.list_models())
def test_every_preset_of_the_zoo_loads(name):
    """All files verified, golden scores reproduced on this backend, calibrated, provenance complete."""
    detector = keras_ood.from_pretrained(name)
    content = preset.read(handles.resolve(name))
    assert detector.calibrated_scores() == list(content["calibration_size"])
    assert sum(int(np.prod(weight.shape)) for weight in detector.trainable_weights) == content["parameters"]
    assert content["name"] == name
    recipe = Recipe.read(handles.resolve(name) / "recipe.toml")
    assert content["recipe_sha256"] == recipe.digest
    assert content["training"]["recipe"] == (recipe.base or recipe).digest


def test_the_zoo_fits_in_the_wheel():
    """Below 40 MiB altogether."""
    assert sum(path.stat().st_size for path in handles.zoo_folder().rglob("*") if path.is_file()) < 40 * 2**20


def test_a_folder_is_a_handle(folder, pretrained, digits):
    """A path loads as a zoo name does."""
    np.testing.assert_array_equal(keras_ood.from_pretrained(folder).score(digits[1]), pretrained.score(digits[1]))


def test_saving_again_replaces_the_preset(folder, pretrained):
    """A preset can be written over another; a file in its place is refused."""
    pretrained.save_pretrained(folder, note="mine")
    content = preset.read(folder)
    assert content["note"] == "mine"
    preset.verify(folder, content)
    (folder.parent / "file").write_text("")
    with pytest.raises(FileExistsError, match="Received: "):
        pretrained.save_pretrained(folder.parent / "file")


STRAYS = ("labels_of_patients.csv", ".DS_Store", ".gitattributes", "Thumbs.db", "notes/README.md")


def _contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.once
def test_what_is_not_the_presets_is_left_alone(folder, pretrained):
    """A user's files stay on disk, are neither sealed nor in the way; card and results of the old detector do not stay."""
    for name in STRAYS:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
    preset.seal(folder, preset.read(folder))
    for _ in range(2):
        keras_ood.from_pretrained(folder)
        assert {path.name for path in folder.iterdir()} >= {name.split("/")[0] for name in STRAYS}
        assert not set(preset.read(folder)["files"]) & set(STRAYS)
        pretrained.save_pretrained(folder)
    assert set(preset.read(folder)["files"]) == set(preset.REQUIRED)
    kept = {*STRAYS, *preset.REQUIRED, preset.PRESET, "recipe.toml"}  # nobody's but its author's, and not of this detector
    assert set(_contents(folder)) == kept


@pytest.mark.once
def test_files_of_somebody_else_are_not_made_the_presets(tmp_path, pretrained):
    """A folder of other things gets a preset beside them; where one would be lost, all stays as it is."""
    for name in ("README.md", "results.csv"):
        (tmp_path / name).write_text("mine")
    pretrained.save_pretrained(tmp_path)
    assert set(preset.read(tmp_path)["files"]) == set(preset.REQUIRED)
    with pytest.raises(FileExistsError, match=r"Received: .* with \['README.md'\] of something else"):
        card.write(tmp_path)
    assert (tmp_path / "README.md").read_text() == (tmp_path / "results.csv").read_text() == "mine"
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    with pytest.raises(FileExistsError, match=r"with \['config.json'\] of something else"):
        pretrained.save_pretrained(model)
    assert _contents(model) == {"config.json": b"{}"}


@pytest.mark.once
@pytest.mark.parametrize("failing", ["check", "move 1", "move 4", "move 9"])
def test_a_preset_is_replaced_as_a_whole_or_not_at_all(folder, pretrained, monkeypatch, failing):
    """Whether the new one is refused or a file cannot be moved: the old one is what it was, and nothing lies about."""
    before = _contents(folder)
    moves = []

    def replace(source, target, move=os.replace):
        moves.append(source)
        if failing == f"move {len(moves)}":
            raise OSError("full")
        move(source, target)

    def check(folder):
        raise OSError("full")

    if failing == "check":
        monkeypatch.setattr(serialization.safety, "check", check)
    else:
        monkeypatch.setattr(preset.os, "replace", replace)
    with pytest.raises(OSError, match="full"):
        pretrained.save_pretrained(folder)
    assert _contents(folder) == before
    assert {path.name for path in folder.iterdir()} == set(before)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


DAMAGES = {
    "truncated weights": (lambda folder: _truncate(folder / "model.weights.h5"), "model.weights.h5.*Expected size"),
    "one bit of the weights": (lambda folder: _flip(folder / "model.weights.h5"), "model.weights.h5.*Expected sha256"),
    "changed configuration": (lambda folder: _flip(folder / "config.json"), "config.json.*Expected sha256"),
    "missing weights": (lambda folder: (folder / "model.weights.h5").unlink(), "missing.*model.weights.h5"),
    "missing preset.json": (lambda folder: (folder / "preset.json").unlink(), "holds preset.json"),
    "truncated preset.json": (lambda folder: _truncate(folder / "preset.json"), "preset.json"),
    "changed card": (lambda folder: _flip(folder / "README.md"), "README.md.*Expected sha256"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_presets_are_refused(folder, name):
    """Any file changed, cut or missing: an error that names it and what was expected and found."""
    damage, message = DAMAGES[name]
    damage(folder)
    with pytest.raises(PresetError, match=f"(?s){message}.*Received: "):
        keras_ood.from_pretrained(folder)


CHANGES = {
    "golden scores": (lambda content: content["golden_scores"].__setitem__(0, 1e6), "golden scores"),
    "path outside the folder": (lambda content: content["files"].update({"../x": {"size": 1, "sha256": ""}}), "own folder"),
    "unlisted weights": (lambda content: content["files"].pop("model.weights.h5"), "model.weights.h5"),
    "no files": (lambda content: content.pop("files"), "files"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_provenance_is_refused(folder, name):
    """A preset.json that does not describe the detector beside it is refused."""
    change, message = CHANGES[name]
    content = json.loads((folder / "preset.json").read_text())
    change(content)
    (folder / "preset.json").write_text(json.dumps(content))
    with pytest.raises(PresetError, match=f"{message}.*"):
        keras_ood.from_pretrained(folder)


def test_only_detectors_are_loaded(folder):
    """A preset of another Keras class is refused."""
    import keras

    content = preset.read(folder)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    for name in preset.REQUIRED:
        (folder / name).unlink()
    keras.saving.save_model(model, folder, zipped=False, overwrite=True)
    preset.seal(folder, content)
    with pytest.raises(PresetError, match="Received: Sequential"):
        keras_ood.from_pretrained(folder)


def test_reduced_precision_does_not_outlive_saving(pretrained, digits, tmp_path):
    """A detector that computes in bfloat16 is calibrated and saved; what is loaded gives its golden scores in float32."""
    half = pretrained.inference_copy("mixed_bfloat16")
    half.calibrate(digits[1][:100])
    half.save_pretrained(tmp_path)
    loaded = keras_ood.from_pretrained(tmp_path)
    np.testing.assert_allclose(loaded.score(digits[1][:9], "nll"), pretrained.score(digits[1][:9], "nll"), rtol=1e-5)
    assert loaded.threshold(0.05) == half.threshold(0.05)


CHOSEN = {  # handle, whether bfloat16 is fast on the machine, what is chosen
    "golden scores hold": ("tilted-vae-digits", True, "bfloat16"),
    "no gain": ("tilted-vae-digits", False, "float32"),
    "whitened features do not": ("tilted-vae-mnist", True, "float32"),
}


@pytest.mark.once
@pytest.mark.parametrize(("handle", "fast", "chosen"), CHOSEN.values(), ids=CHOSEN)
def test_precision_is_chosen_where_golden_scores_hold(monkeypatch, handle, fast, chosen):
    """`dtype="auto"` is bfloat16 where the machine gains by it and the golden scores hold, else float32."""
    monkeypatch.setattr(loading, "fast_bfloat16", lambda: fast)
    assert keras_ood.from_pretrained(handle, dtype="auto").compute_dtype == chosen


@pytest.mark.once
def test_a_promise_is_made_where_its_law_is_known():
    """Of a calibration by its size, at the rate asked for; none of a cross-fitted detector, nor without a calibration."""
    content = {"family": "TiltedVAE", "default_score": "nll", "calibration_size": {"nll": 200}}
    assert promised(content) == promise(200, 0.05)
    assert promised(content, 0.1) == promise(200, 0.1)
    assert promised(content | {"family": "FeatureMixture"}) is None
    assert promised(content | {"calibration_size": {}}) is None
