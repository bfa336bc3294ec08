"""Several devices of one host share a batch; a GPU gives the scores of a CPU."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_ood

SCORE = """
import sys, numpy as np, keras
if {devices} > 1:
    keras.distribution.set_distribution(keras.distribution.DataParallel())
import keras_ood, jax
assert jax.device_count() == {devices}
from keras_ood.datasets import load
detector = keras_ood.from_pretrained("tilted-vae-digits")
images = load("digits", "test")[0][:101]
names = ("nll", "density_of_states", "likelihood_regret")
found = {{name: detector.score(images, name, batch_size=32, progress=False) for name in names}}
found["noisy"] = detector.score(images, "nll", samples=3, batch_size=40, progress=False)
np.savez(sys.argv[1], **found)
"""


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="Keras spreads batches over devices on JAX alone")
def test_devices_share_a_batch(tmp_path):
    """On 1, 3 and 8 devices: the same scores in the same order, whatever is left for the last batch."""
    found = {}
    for devices in (1, 3, 8):
        path = tmp_path / f"{devices}.npz"
        flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}", "JAX_COMPILATION_CACHE_DIR": str(tmp_path)}
        environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"} | flags
        code = SCORE.format(devices=devices)
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        found[devices] = dict(np.load(path))
    assert np.ptp(found[1]["nll"]) > 1
    for devices in (3, 8):
        for name, scores in found[1].items():
            assert scores.shape == (101,)
            np.testing.assert_allclose(
                found[devices][name], scores, rtol=2e-4, atol=1e-3, err_msg=f"{name} on {devices} devices"
            )


@pytest.mark.gpu
def test_a_gpu_scores_like_a_cpu(digits):
    """Golden scores, made on a CPU, hold on a GPU (`from_pretrained` checks them); in bfloat16 images keep their order."""
    exact = keras_ood.from_pretrained("tilted-vae-digits").score(digits[1], "nll")
    scores = keras_ood.from_pretrained("tilted-vae-digits", dtype="mixed_bfloat16").score(digits[1], "nll")
    assert np.corrcoef(exact.argsort().argsort(), scores.argsort().argsort())[0, 1] > 0.99
