"""What importing the package does and does not do, each in a fresh interpreter."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

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
import keras_ood, numpy as np
print(keras_ood.list_models("*digits"))
detector = keras_ood.from_pretrained("tilted-vae-digits")
print(detector.p_values(np.zeros((2, 8, 8, 1), np.uint8)).shape)
"""
EXPECTED = ["['tilted-vae-digits']", "(2,)"]


def _run(code: str, backend: str | None = None) -> list[str]:
    """The lines that a program prints."""
    environment = os.environ | {"KERAS_BACKEND": backend or keras.backend.backend()}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.once
def test_the_import_is_light():
    """A pretrained VAE loads and scores without TFP, matplotlib, scikit-learn, Ray (Keras itself loads what it finds)."""
    assert _run(BLOCK + LIGHT.replace("{without}", "set()")) == EXPECTED


@pytest.mark.once_on_jax
def test_jax_needs_no_tensorflow():
    """The torch backend has no TFP: the import says so and what to set. JAX loads, scores and samples without TensorFlow."""
    torch = """
import keras
chosen = keras.backend.backend
keras.backend.backend = lambda: "torch"
try:
    import keras_ood
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
