"""What importing the package does and does not do, each in a fresh interpreter."""

import importlib
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_ood import registration

BLOCK = """
import sys
class Block:
    blocked = set()
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.blocked:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Block())
"""
LIGHT = """
Block.blocked = {"tensorflow_probability", "tf_keras", "matplotlib", "sklearn", "typer", "ray"} | {without}
import keras_ood
print(keras_ood.list_models("*digits"))
import keras, numpy as np
print(keras.saving.load_model(keras_ood.hub.handles.resolve("tilted-vae-digits")).name)
detector = keras_ood.from_pretrained("tilted-vae-digits")
print(detector.p_values(np.zeros((2, 8, 8, 1), np.uint8)).shape)
"""
EXPECTED = ["['tilted-vae-digits']", "tilted_vae", "(2,)"]


def _run(code: str, backend: str | None = None) -> list[str]:
    """The lines that a program prints."""
    environment = os.environ | {"KERAS_BACKEND": backend or keras.backend.backend()}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.once
def test_the_import_is_light():
    """A pretrained VAE loads and scores without TFP, matplotlib, scikit-learn, Ray (Keras itself loads what it finds).

    Keras, imported after the package, finds the package's classes.
    """
    assert _run(BLOCK + LIGHT.replace("{without}", "set()")) == EXPECTED


@pytest.mark.once_on_jax
def test_jax_needs_no_tensorflow():
    """The torch backend has no TFP: what computes says so and what to set. JAX loads, scores and samples without TensorFlow.

    Keras, imported before the package, finds the package's classes.
    """
    torch = """
import keras, keras_ood
chosen = keras.backend.backend
keras.backend.backend = lambda: "torch"
try:
    keras_ood.from_pretrained
except ImportError as error:
    print(error)
keras.backend.backend = chosen
"""
    sample = "Block.blocked.remove('tensorflow_probability')\nprint(detector.sample(2).shape)"
    refused, *lines = _run(BLOCK + torch + LIGHT.replace("{without}", '{"tensorflow"}') + sample)
    assert refused.startswith("keras_ood runs on the Keras backends 'tensorflow' and 'jax'")
    assert refused.endswith("Received: 'torch'")
    assert lines == [*EXPECTED, "(2, 16, 16, 1)"]


@pytest.mark.once
def test_what_computes_nothing_waits_for_no_backend():
    """Help, lists, and a shell's completions come without Keras and NumPy; what a preset is, without Keras."""
    code = """
import sys
from typer.testing import CliRunner
from keras_ood.cli import completion, main
def loaded(*arguments):
    assert CliRunner().invoke(main.app, arguments).exit_code == 0
    return sorted({"keras", "tensorflow", "jax", "numpy"} & set(sys.modules))
assert completion.models("") and completion.presets() and completion.methods()
print(loaded("--help"), loaded("score", "--help"), loaded("list"), loaded("info", "tilted-vae-digits"))
"""
    assert _run(code) == ["[] [] [] ['numpy']"]


@pytest.mark.once
def test_a_command_says_what_it_has_to_say():
    """TensorFlow's lines at its start do not surround an error's one line."""
    command = [sys.executable, "-m", "keras_ood.cli", "score", "tilted-vae-digits", "nothing.png"]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    told = subprocess.run(command, capture_output=True, text=True, env=environment, check=False).stderr
    assert told.startswith("Error: ")
    assert told.count("\n") == 1


def test_keras_knows_every_class_beforehand():
    """The classes that Keras finds without their modules are those that the modules register, and where they are."""
    known = keras.saving.get_custom_objects()
    for module in registration.CLASSES.values():
        importlib.import_module(f"keras_ood.{module}")
    ours = (kind for name, kind in known.items() if name.startswith("keras_ood>"))
    registered = {kind.__name__: kind.__module__ for kind in ours if kind.__module__.startswith("keras_ood.")}  # not the docs'
    assert registered == {name: f"keras_ood.{module}" for name, module in registration.CLASSES.items()}


@pytest.mark.once
def test_both_backends_give_the_same_scores(pretrained, digits, tmp_path):
    """A detector trained on TensorFlow scores alike on JAX: relative difference at most 1e-4, every score."""
    code = (
        "import keras_ood, numpy as np\n"
        "detector = keras_ood.from_pretrained('tilted-vae-digits')\n"
        "images = keras_ood.datasets.load('digits', 'test')[0]\n"
        f"np.savez({str(tmp_path / 'jax.npz')!r}, **detector.statistics(images))"
    )
    _run(code, "jax")
    here, there = pretrained.statistics(digits[1]), dict(np.load(tmp_path / "jax.npz"))
    for name in pretrained.ready_scores():
        expected = pretrained.score_statistics(here, name)
        difference = np.abs(pretrained.score_statistics(there, name) - expected)
        assert np.max(difference) <= 1e-4 * np.max(np.abs(expected)), name
