"""What importing the package does and does not do; each case in a fresh interpreter."""

import os
import subprocess
import sys

import keras
import pytest

BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Block())
"""


def _run(code: str, backend: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"KERAS_BACKEND": backend or keras.backend.backend()}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)


def test_the_import_is_light():
    """`import keras_ood` needs neither TFP nor matplotlib, scikit-learn or Ray (Keras itself loads what it finds)."""
    code = BLOCK.format(blocked=("tensorflow_probability", "tf_keras", "matplotlib", "sklearn", "typer", "ray"))
    done = _run(code + "import keras_ood\nprint(keras_ood.list_models('*digits'))")
    assert done.stdout.strip() == "['tilted-vae-digits']", done.stderr


def test_a_vae_scores_without_tfp():
    """A pretrained VAE loads and scores without waiting for TensorFlow Probability."""
    code = BLOCK.format(blocked=("tensorflow_probability", "tf_keras", "matplotlib")) + (
        "import keras_ood, numpy as np\n"
        "detector = keras_ood.from_pretrained('tilted-vae-digits')\n"
        "print(detector.p_values(np.zeros((2, 8, 8, 1), np.uint8)).shape)"
    )
    done = _run(code)
    assert done.stdout.strip() == "(2,)", done.stderr


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="about the JAX backend")
def test_jax_needs_no_tensorflow():
    """With TensorFlow out of reach a preset loads, scores and samples on JAX."""
    code = BLOCK.format(blocked=("tensorflow", "tf_keras")) + (
        "import keras_ood, numpy as np\n"
        "detector = keras_ood.from_pretrained('tilted-vae-digits')\n"
        "print(detector.p_values(np.zeros((2, 8, 8, 1), np.uint8)).shape, detector.sample(2).shape)"
    )
    done = _run(code)
    assert done.stdout.strip() == "(2,) (2, 16, 16, 1)", done.stderr


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="once is enough; JAX is the lighter import")
def test_torch_is_refused_in_one_line():
    """The torch backend has no TFP: the import says so and what to set."""
    code = "import keras\nkeras.backend.backend = lambda: 'torch'\nimport keras_ood"
    done = _run(code)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: keras_ood runs on the Keras backends 'tensorflow' and 'jax'")
    assert last.endswith("Received: 'torch'")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="compares with the other backend, once")
def test_both_backends_give_the_same_scores(pretrained, digits, tmp_path):
    """A detector trained on TensorFlow scores alike on JAX: relative difference at most 1e-4, every score."""
    import numpy as np

    code = (
        "import keras_ood, numpy as np\n"
        "detector = keras_ood.from_pretrained('tilted-vae-digits')\n"
        "images = keras_ood.datasets.load('digits', 'test')[0]\n"
        f"np.savez({str(tmp_path / 'jax.npz')!r}, **detector.statistics(images))"
    )
    done = _run(code, "jax")
    assert done.returncode == 0, done.stderr
    here, there = pretrained.statistics(digits[1]), dict(np.load(tmp_path / "jax.npz"))
    for name in pretrained.ready_scores():
        expected = pretrained.score_statistics(here, name)
        difference = np.abs(pretrained.score_statistics(there, name) - expected)
        assert np.max(difference) <= 1e-4 * np.max(np.abs(expected)), name
