"""The gates: from images to an attention."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ood.attention import PerImageGate, SetGate
from keras_ood.encoders import encode, random_encoder, trained_encoder
from keras_ood.models import InFlow, TiltedVAE


@pytest.fixture(scope="module")
def encoder():
    """Sixteen features of 8x8 images."""
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, 3), keras.layers.Flatten()])


def blobs(count, seed, shift=0.0):
    """Smooth grey images, brighter with `shift`."""
    generator = np.random.default_rng(seed)
    coarse = generator.random((count, 2, 2, 1)) * 0.6 + 0.2 + shift
    images = np.repeat(np.repeat(coarse, 4, axis=1), 4, axis=2) + 0.05 * generator.standard_normal((count, 8, 8, 1))
    return (255 * np.clip(images, 0, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def gate(encoder):
    return PerImageGate.from_images(encoder, blobs(500, 0), blobs(400, 1), components=5)


def opened(gate, images):
    return {name: np.asarray(ops.convert_to_numpy(value)) for name, value in gate(images).items()}


def test_distance_is_that_of_probabilistic_pca(encoder, gate):
    """D^2 is the quadratic form of scikit-learn's probabilistic PCA, for images of any kind."""
    from sklearn.decomposition import PCA

    analysis = PCA(5, svd_solver="covariance_eigh").fit(encode(encoder, blobs(500, 0)).astype(np.float64))
    images = np.concatenate([blobs(20, 2), np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)])
    centred = encode(encoder, images).astype(np.float64) - analysis.mean_
    expected = np.sqrt(np.sum(centred @ analysis.get_precision() * centred, axis=1))
    np.testing.assert_allclose(opened(gate, images)["mahalanobis"], expected, rtol=1e-3)


def test_p_values_are_conformal_from_above(gate):
    """At held-out distances p is exactly conformal; elsewhere never below it and less than one step above."""
    held_out = np.asarray(ops.convert_to_numpy(gate.distances))
    asked = np.concatenate([held_out, np.linspace(0, 3 * held_out[-1], 500, dtype=np.float32)])
    p_values = np.asarray(ops.convert_to_numpy(gate.p_value(ops.convert_to_tensor(asked))))
    conformal = (1 + np.sum(held_out[None] >= asked[:, None], axis=1)) / 401
    np.testing.assert_allclose(p_values[:400], conformal[:400], rtol=1e-6)
    assert np.all(p_values >= conformal - 1e-6)
    assert np.all(p_values <= conformal + 1 / 401 + 1e-6)
    assert np.all(np.diff(p_values[400:]) <= 1e-7)
    assert p_values[-1] == pytest.approx(1 / 401)


def test_false_alarms_are_held(gate):
    """Fresh in-distribution images alarm at the rate promised: inside the beta-binomial 99.9 % interval."""
    alarms = int(np.sum(opened(gate, blobs(2000, 3))["attention_p_value"] < gate.alpha))
    from scipy.stats import betabinom

    low, high = betabinom(2000, 20, 381).interval(0.999)  # 20 of 401 ranks alarm
    assert low <= alarms <= high
    assert np.mean(opened(gate, np.random.default_rng(0).integers(0, 256, (200, 8, 8, 1), dtype=np.uint8))["attention"]) < 0.1


def test_modes(encoder, gate):
    """Hard attention is 0 or 1; soft attention is p / alpha up to 1; both close at the same images' alarms."""
    hard = PerImageGate.from_images(encoder, blobs(500, 0), blobs(400, 1), components=5, mode="hard")
    images = np.concatenate([blobs(300, 4), blobs(50, 5, shift=0.2)])
    soft_answer, hard_answer = opened(gate, images), opened(hard, images)
    alarm = soft_answer["attention_p_value"] < 0.05
    np.testing.assert_array_equal(hard_answer["attention"], np.where(alarm, 0, 1))
    np.testing.assert_allclose(soft_answer["attention"], np.minimum(1, soft_answer["attention_p_value"] / 0.05), rtol=1e-6)
    assert 0 < np.mean(alarm) < 1


def test_gate_is_saved_with_the_detector(gate, tmp_path):
    """A preset folder holds the gate's whole state: the loaded detector has the same attention and the same set test."""
    detector = InFlow((8, 8, 1), depth=1, attention=gate)
    detector.save_pretrained(tmp_path / "preset")
    loaded = keras.saving.load_model(tmp_path / "preset", safe_mode=True)
    images = blobs(30, 6)
    for name, values in detector.statistics(images).items():
        np.testing.assert_allclose(loaded.statistics(images)[name], values, rtol=1e-5, atol=1e-5, err_msg=name)
    assert loaded.attention.set_gate().test(images) == gate.set_gate().test(images)


def test_set_gate_tests_sets(gate):
    """Sets like the reference pass, sets unlike it close the gate, and one image is no set."""
    sets = gate.set_gate()
    rejected = [sets.attention(blobs(30, seed)) == 0 for seed in range(20, 60)]
    assert np.mean(rejected) <= 0.2
    assert sets.attention(blobs(30, 7, shift=0.15)) == 0
    assert sets.test(blobs(30, 7)) == sets.test_features(sets.features(blobs(30, 7)))
    with pytest.raises(ValueError, match=r"at least 2 points.*Received"):
        sets.test(blobs(1, 8))


def test_published_encoder():
    """The random encoder has the published number of parameters and is the same for a seed, on every backend."""
    encoder = random_encoder((32, 32, 3))
    assert encoder.count_params() == 1_248_992
    assert encoder.output_shape == (None, 32)
    image = np.tile(np.arange(32, dtype=np.uint8)[:, None, None] * 8, (1, 32, 3))[None]
    np.testing.assert_allclose(encode(encoder, image)[0, :3], encode(random_encoder((32, 32, 3)), image)[0, :3])
    np.testing.assert_allclose(encode(encoder, image)[0, :3], GOLDEN, rtol=1e-4)
    assert np.any(encode(random_encoder((32, 32, 3), seed=1), image)[0, :3] != encode(encoder, image)[0, :3])
    gate = SetGate.from_encoder(encoder, np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8))
    assert gate.attention(np.zeros((10, 32, 32, 3), np.uint8)) == 0


GOLDEN = [-0.0099837, 0.00056732, 0.00228894]  # of this architecture and seed, from our own run


def test_trained_encoder_is_a_copy(fresh, images):
    """The encoder of a TiltedVAE gives the same features, and its weights are its own."""
    detector = fresh()
    encoder = trained_encoder(detector)
    expected = ops.convert_to_numpy(detector.encoder(detector.preprocessing(images)))
    np.testing.assert_allclose(encode(encoder, images), expected, rtol=1e-5)
    encoder.set_weights([0 * weight for weight in encoder.get_weights()])
    assert np.any(detector.encoder.get_weights()[0] != 0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda encoder: PerImageGate(encoder, 400, 100, mode="firm"), "Received: 'firm'"),
        (lambda encoder: PerImageGate(encoder, 10, 10, components=4), "alpha.*Received: alpha=0.05, held_out=10"),
        (lambda encoder: PerImageGate(encoder, 19, 10, components=4), "alpha.*Received: alpha=0.05, held_out=19"),
        (lambda encoder: PerImageGate(encoder, 400, 100, components=16), "16 features. Received: 16"),
        (lambda encoder: PerImageGate.from_images(encoder, blobs(50, 0), blobs(19, 1), components=4), "Received: 19"),
        (lambda encoder: SetGate.from_encoder(encoder, blobs(50, 0), permutations=10), "Received: alpha=0.05, permutations=10"),
        (lambda encoder: trained_encoder(InFlow((4, 4, 1), depth=1)), "Received: InFlow"),
    ],
)
def test_bad_settings(encoder, build, message):
    """Settings without meaning are refused."""
    with pytest.raises(ValueError, match=message):
        build(encoder)


def test_vae_and_flow_make_one_system(fresh, images):
    """A TiltedVAE's encoder gates an InFlow, whatever sizes the two take."""
    encoder = trained_encoder(TiltedVAE((16, 16, 1), latent_dim=3, tilt=6.0))
    gate = PerImageGate.from_images(encoder, blobs(200, 0), blobs(100, 1), components=8)
    scores = InFlow((8, 4, 1), depth=1, attention=gate).score(images)
    assert np.all(np.isfinite(scores))
