"""Several devices of one host share a batch; a GPU gives the scores of a CPU."""

import os
import subprocess
import sys

import numpy as np
import pytest

import keras_ood

SCORE = """
import sys, numpy as np, keras, keras_ood
from keras_ood.scores import likelihood_regret
likelihood_regret.STEPS = 5
detector = keras_ood.from_pretrained("tilted-vae-digits")
images = keras_ood.datasets.load("digits", "test")[0][:37]
found = {}
for count in (1, 3, 8):
    devices = keras.distribution.list_devices()[:count]
    assert len(devices) == count
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices) if count > 1 else None)
    shared = detector.inference_copy()
    for name in ("density_of_states", "likelihood_regret")[: 1 if count == 3 else 2]:
        found[f"{name} on {count}"] = shared.score(images, name, batch_size=16, progress=False)
    found[f"noisy on {count}"] = shared.score(images, "nll", samples=3, batch_size=20, progress=False)
np.savez(sys.argv[1], **found)
"""


@pytest.mark.once_on_jax  # Keras spreads batches over devices on JAX alone
def test_devices_share_a_batch(tmp_path):
    """On 1, 3 and 8 devices: the same scores in the same order, whatever is left for the last batch."""
    environment = os.environ | {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    command = [sys.executable, "-c", SCORE, str(tmp_path / "scores.npz")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = dict(np.load(tmp_path / "scores.npz"))
    assert len(found) == 8
    assert np.ptp(found["noisy on 1"]) > 1
    for name, scores in found.items():
        expected = found[name.rpartition(" ")[0] + " 1"]
        assert scores.shape == (37,)
        np.testing.assert_allclose(scores, expected, rtol=2e-4, atol=1e-3, err_msg=name)


@pytest.mark.gpu
@pytest.mark.parametrize("name", keras_ood.list_models())
def test_a_gpu_gives_golden_scores(name):
    """Golden scores, made on a CPU, hold on a GPU, in TF32 where it computes in that: `from_pretrained` checks them."""
    keras_ood.from_pretrained(name)


@pytest.mark.gpu
def test_a_gpu_scores_like_a_cpu(digits):
    """In bfloat16 images keep their order."""
    exact = keras_ood.from_pretrained("tilted-vae-digits").score(digits[1], "nll")
    scores = keras_ood.from_pretrained("tilted-vae-digits", dtype="mixed_bfloat16").score(digits[1], "nll")
    assert np.corrcoef(exact.argsort().argsort(), scores.argsort().argsort())[0, 1] > 0.99
