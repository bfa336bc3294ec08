"""Handles: zoo names and folders."""

import os
import re
from pathlib import Path

import pytest

import keras_ood
from keras_ood.hub import handles, manifest
from keras_ood.hub.renamed import RENAMED

pytestmark = pytest.mark.once

MIGRATION = Path(__file__).parents[2] / "docs" / "migration.md"


@pytest.mark.parametrize(
    "handle", ["tilted-vae-digit", "tilted-vae-digits/", "no/such/folder", "", "hf://datasets/me/images", "hf://me/repo/folder"]
)
def test_a_nearly_right_name_fails_loudly(handle):
    """No other weights are ever loaded; the error lists what there is."""
    with pytest.raises(ValueError, match=r"tilted-vae-digits.*Received: '"):
        keras_ood.from_pretrained(handle)


def test_close_names_are_offered():
    """The likely name is in the message."""
    with pytest.raises(ValueError, match="Did you mean 'tilted-vae-digits'"):
        handles.resolve("tilted_vae_digits")


def test_a_folder_of_the_same_name_does_not_hide_a_preset(tmp_path, monkeypatch):
    """In any working directory a zoo name is the zoo's preset."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("tilted-vae-digits")
    assert handles.resolve("tilted-vae-digits").parent == handles.zoo_folder()


@pytest.mark.parametrize("name", RENAMED)
def test_an_old_name_says_what_it_is_now(name, tmp_path, monkeypatch):
    """It is no preset's; the error and the migration notes name one that is there. A folder of one's own may be called so."""
    (now,) = re.findall(r"'([\w-]+)'", RENAMED[name])
    assert name not in handles.list_models()
    assert handles.embedded(now)
    with pytest.raises(ValueError, match=rf"write {re.escape(RENAMED[name])}\. Received: '{name}'$"):
        handles.resolve(name, source="embedded")
    assert any(f"| `{name}` | `{now}`" in line for line in MIGRATION.read_text().splitlines())
    monkeypatch.chdir(tmp_path)
    os.mkdir(name)
    assert handles.resolve(name) == Path(name)


def test_patterns_and_natural_order(tmp_path, monkeypatch):
    """Wildcards filter; x2 comes before x10."""
    (tmp_path / "manifest.json").write_text("{}")
    monkeypatch.setattr(manifest, "FILE", tmp_path / "manifest.json")
    for name in ("x10", "x2", "y1"):
        manifest.record(name, manifest.Entry("0" * 64))
    assert handles.list_models() == ["x2", "x10", "y1"]
    assert handles.list_models("x*") == ["x2", "x10"]
    assert handles.list_models("z*") == []
