"""InFlow: the flow, its density, its attention."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ood.attention import PerImageGate
from keras_ood.models import InFlow
from keras_ood.networks.flow import GlowStep

BATCH = 40
"""Of all tests here: every further size is compiled anew."""


def perturbed(detector, scale=0.05):
    """The detector with every weight moved, so that no coupling is the identity."""
    generator = np.random.default_rng(5)
    for weight in detector.flow.weights:
        weight.assign(weight.numpy() + scale * generator.standard_normal(weight.shape))
    return detector


@pytest.fixture(scope="module")
def flow():
    keras.utils.set_random_seed(0)
    return perturbed(InFlow((4, 4, 1), depth=2))


def grey(count=6, seed=0, shape=(4, 4, 1)):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def test_published_number_of_parameters():
    """The paper's architecture has 112,652 parameters at 32x32x3; another depth has as many for each block."""
    assert InFlow((32, 32, 3), "paper").count_params() == 112_652
    assert InFlow((32, 32, 3), "paper", depth=3).count_params() == 3 * 56_326


def test_nll_is_a_density(float64):
    """Exp(-nll) integrates to one over all 2x2 blocks: checked on a flow of few dimensions by Monte Carlo under its own law.

    The mean of q(z)/p(z) over draws z of the flow is 1 for any density q; here q is a Gaussian in image space.
    """
    detector = perturbed(InFlow((4, 4, 1), depth=1), 0.02)
    bijector = detector.flow.bijector()
    latents = np.random.default_rng(0).standard_normal((5_000, 2, 2, 4)).astype("float32")
    images = bijector.inverse(ops.convert_to_tensor(latents))
    _, log_det = bijector.forward_and_log_det(images)
    images, log_det = ops.convert_to_numpy(images).reshape(5_000, -1), ops.convert_to_numpy(log_det)
    log_p = -0.5 * np.sum(latents.reshape(5_000, -1) ** 2, axis=1) - 8 * np.log(2 * np.pi) + log_det
    mean, deviation = images.mean(axis=0), 0.8 * images.std(axis=0)
    log_q = np.sum(-0.5 * ((images - mean) / deviation) ** 2 - np.log(deviation), axis=1) - 8 * np.log(2 * np.pi)
    ratio = np.exp(log_q - log_p)
    assert np.mean(ratio) == pytest.approx(1, abs=5 * np.std(ratio) / np.sqrt(5_000))
    assert np.std(ratio) / np.sqrt(5_000) < 0.05


def test_nll_of_the_identity_is_the_brightness():
    """With c = 0 the nll is |y|^2 / 2 + D log(2 pi) / 2, of the dequantised image, whatever the weights."""
    closed = perturbed(InFlow((8, 4, 1), depth=1, attention=0.0))
    images = grey(shape=(8, 4, 1))
    statistics = closed.statistics(images, batch_size=BATCH)
    dequantised = (images.reshape(6, -1) + 0.5) / 256
    expected = 0.5 * np.sum(dequantised**2, axis=1) + 16 * np.log(2 * np.pi)
    np.testing.assert_allclose(statistics["nll"], expected, rtol=1e-5)
    np.testing.assert_allclose(statistics["latent_norm"], np.linalg.norm(dequantised, axis=1), rtol=1e-5)
    np.testing.assert_array_equal(statistics["log_det"], 0)
    np.testing.assert_array_equal(statistics["attention"], 0)


def test_bits_per_dimension(flow):
    """Bits per dimension of an 8-bit image; a mean over draws of the noise is near the value at the middle."""
    statistics = flow.statistics(grey(), batch_size=BATCH)
    expected = (statistics["nll"] + 16 * np.log(256)) / (16 * np.log(2))
    np.testing.assert_allclose(statistics["bits_per_dimension"], expected, rtol=1e-5)
    drawn = flow.statistics(grey(), samples=4, batch_size=BATCH)["bits_per_dimension"]
    np.testing.assert_allclose(drawn, expected, atol=0.1)
    assert np.any(drawn != statistics["bits_per_dimension"])


def test_statistics_fit_together(flow):
    """The nll is |z|^2 / 2 + D log(2 pi) / 2 - log-determinant, and z comes back to the image."""
    images = grey()
    statistics = flow.statistics(images, batch_size=BATCH)
    expected = 0.5 * statistics["latent_norm"] ** 2 + 8 * np.log(2 * np.pi) - statistics["log_det"]
    np.testing.assert_allclose(statistics["nll"], expected, rtol=1e-4, atol=1e-4)
    bijector = flow.flow.bijector()
    dequantised = ops.convert_to_tensor((images.astype("float32") + 0.5) / 256)
    np.testing.assert_allclose(
        ops.convert_to_numpy(bijector.inverse(bijector.forward(dequantised))), ops.convert_to_numpy(dequantised), atol=1e-5
    )


def test_with_attention_keeps_the_flow(flow):
    """Another attention on the same flow: 1 is the plain flow, a half is another, the flow is not touched."""
    images = grey()
    plain = flow.score(images, batch_size=BATCH)
    np.testing.assert_array_equal(flow.with_attention(1.0).score(images, batch_size=BATCH), plain)
    np.testing.assert_array_equal(flow.with_attention(None).score(images, batch_size=BATCH), plain)
    assert np.all(np.abs(flow.with_attention(0.5).score(images, batch_size=BATCH) - plain) > 1e-3)
    np.testing.assert_array_equal(flow.score(images, batch_size=BATCH), plain)


def test_attention_of_the_gate_reaches_the_flow(flow):
    """Each image is scored at its own gate's attention: as `with_attention` of that number scores it."""
    encoder = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
    dark = grey(200) // 4
    gated = flow.with_attention(PerImageGate.from_images(encoder, dark[:100], dark[100:], components=3))
    images = np.concatenate([grey(3, seed=1) // 4, grey(3, seed=2)])
    statistics = gated.statistics(images, batch_size=BATCH)
    assert len(set(statistics["attention"])) > 1
    for index in (np.argmin(statistics["attention"]), np.argmax(statistics["attention"])):
        alone = flow.with_attention(float(statistics["attention"][index])).score(images[index : index + 1], batch_size=BATCH)
        np.testing.assert_allclose(alone, statistics["nll"][index : index + 1], rtol=1e-4)


def test_training_leaves_the_gate_open():
    """In training c = 1 for every image, and the gate's weights stay as they are."""
    encoder = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
    dark = grey(200) // 4
    gate = PerImageGate.from_images(encoder, dark[:100], dark[100:], components=3)
    detector = InFlow((4, 4, 1), depth=1, attention=gate)
    before = [weight.numpy() for weight in gate.weights]
    assert not gate.trainable_variables
    bright = grey(40).astype("float32") / 255
    assert np.all(ops.convert_to_numpy(detector(bright, training=True)["attention"]) == 1)
    assert np.all(detector.statistics(bright, batch_size=BATCH)["attention"] < 1)
    detector.fit(bright, batch_size=20, epochs=1, verbose=0)
    for weight, value in zip(gate.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_a_fresh_flow_starts_from_its_images():
    """The first images make every act-norm's output standard; a trained flow is not started again."""
    detector = InFlow((4, 4, 1), depth=2)
    images = grey(400) // 3
    detector.initialize(images)
    steps = [step for step in detector.flow.steps if isinstance(step, GlowStep)]
    assert len(steps) == 4
    assert all(np.any(step.log_scale.numpy()) for step in steps)
    dequantised = ops.convert_to_tensor((images.astype("float32") + 0.5) / 256)
    latents = ops.convert_to_numpy(detector.flow.bijector().forward(dequantised))
    np.testing.assert_allclose(latents.std(axis=(0, 1, 2)), 1, atol=0.15)
    before = steps[0].shift.numpy()
    detector.initialize(images // 2)
    np.testing.assert_array_equal(steps[0].shift.numpy(), before)


def test_mixed_precision_keeps_log_determinants_in_float32():
    """Under mixed precision the networks compute in 16 bits; statistics stay float32, near those of full precision."""
    exact = perturbed(InFlow((4, 4, 1), depth=1))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = InFlow((4, 4, 1), depth=1)
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(exact.get_weights())
    assert mixed.flow.steps[0].network.networks[0].layers[0].compute_dtype == "bfloat16"
    images, expected = grey(40), exact.statistics(grey(40), batch_size=BATCH)
    for name, values in mixed.statistics(images, batch_size=BATCH).items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, expected[name], rtol=0.05, atol=0.05, err_msg=name)
    _, log_det = mixed.flow.bijector().forward_and_log_det(ops.convert_to_tensor(images.astype("float32") / 255))
    assert keras.backend.standardize_dtype(log_det.dtype) == "float32"
    mixed.fit(images.astype("float32") / 255, batch_size=20, epochs=1, verbose=0)
    assert np.all(np.isfinite(mixed.score(images, batch_size=BATCH)))


def test_training_on_structure_beats_the_start():
    """A short training lowers the bits per dimension of held-out images by much."""
    generator = np.random.default_rng(0)
    images = np.repeat(generator.integers(100, 156, (256, 1, 1, 1), dtype=np.uint8), 16, axis=1).reshape(256, 4, 4, 1)
    detector = InFlow((4, 4, 1), depth=2)
    detector.initialize(images[:128])
    before = np.mean(detector.statistics(images[128:], batch_size=BATCH)["bits_per_dimension"])
    detector.compile(keras.optimizers.Adam(3e-3))
    detector.fit(images[:128].astype("float32") / 255, epochs=20, batch_size=32, verbose=0)
    assert np.mean(detector.statistics(images[128:], batch_size=BATCH)["bits_per_dimension"]) < before - 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"architecture": "glow"}, "Received: 'glow'"),
        ({"architecture": "paper"}, "3 channels. Received: "),
        ({"image_shape": (6, 8, 1)}, "multiples of 4. Received: "),
        ({"depth": 0}, "Received: 0"),
        ({"attention": 1.5}, "Received: 1.5"),
        ({"attention": "soft"}, "Received: 'soft'"),
    ],
)
def test_bad_settings(settings, message):
    """Settings outside the documented ones are refused."""
    with pytest.raises(ValueError, match=message):
        InFlow(**{"image_shape": (4, 4, 1)} | settings)
