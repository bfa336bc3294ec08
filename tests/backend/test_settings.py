"""Keras' global settings are a caller's own affair: presets load and score the same under any of them."""

import threading

import keras
import numpy as np
import pytest
from keras.src.backend.common import global_state

import keras_ood
from keras_ood.attention import PerImageGate
from keras_ood.backend.settings import own_settings
from keras_ood.encoders import encode, random_encoder
from keras_ood.models import Ensemble, InFlow, TiltedVAE

SETTINGS = {
    "policy mixed_bfloat16": lambda: keras.config.set_dtype_policy("mixed_bfloat16"),
    "policy float16": lambda: keras.config.set_dtype_policy("float16"),
    "channels first": lambda: keras.config.set_image_data_format("channels_first"),
    "floatx bfloat16": lambda: keras.config.set_floatx("bfloat16"),
    "floatx float64": lambda: keras.config.set_floatx("float64"),
}


TRAINED = ("policy mixed_bfloat16", "channels first", "floatx float64")
"""For what costs more to look at."""


def now():
    return keras.config.dtype_policy().name, keras.config.floatx(), keras.config.image_data_format()


def restore():
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    global_state.set_global_attribute("dtype_policy", None)  # as in a fresh process: it follows `floatx`


@pytest.fixture(params=SETTINGS if keras.backend.backend() == "tensorflow" else [*TRAINED, "floatx bfloat16"])
def change(request):
    """The function that makes one of the settings, of the worst of them on JAX; all are undone after the test."""
    restore()
    yield SETTINGS[request.param]
    restore()


def numbers(detector, images):
    """What a detector says of images, every way to ask it."""
    found = detector.statistics(images) | {
        "score": detector.score(images),
        "p-values": detector.p_values(images),
        "samples": detector.score(images, "nll", samples=2),
        "sample": detector.sample(2),
        "reconstruct": detector.reconstruct(images)[1],
    }
    assert {value.dtype.name for value in found.values()} <= {"float32", "float64"}
    return found


@pytest.fixture(scope="module")
def expected(digits):
    """What the embedded preset says under Keras' defaults."""
    return numbers(keras_ood.from_pretrained("tilted-vae-digits"), digits[1][:8])


def test_presets_are_the_same_under_any_setting(change, expected, digits, tmp_path):
    """Loaded before or after, copied, saved and loaded again: the same numbers, and the settings are as they were."""
    earlier = keras_ood.from_pretrained("tilted-vae-digits")
    change()
    before = now()
    earlier.save_pretrained(tmp_path)
    for one in (earlier, earlier.inference_copy(), keras_ood.from_pretrained(tmp_path)):
        for name, values in numbers(one, digits[1][:8]).items():
            np.testing.assert_allclose(values, expected[name], rtol=1e-4, atol=1e-6, err_msg=name)
    assert now() == before


BUILDERS = {
    "tilted": lambda: TiltedVAE((8, 8, 1), latent_dim=3, tilt=6.0),
    "paper's tilted": lambda: TiltedVAE((32, 32, 1), latent_dim=3, tilt=6.0, architecture="paper"),
    "flow": lambda: InFlow((8, 4, 1), depth=1),
    "paper's flow": lambda: InFlow((8, 8, 3), "paper", depth=1),
    "ensemble": lambda: Ensemble([TiltedVAE((8, 8, 1), latent_dim=3, tilt=6.0) for _ in range(2)]),
}


@pytest.mark.once
@pytest.mark.parametrize("name", BUILDERS)
def test_networks_of_ones_own_are_channels_last(name, images):
    """Whatever Keras says of images, the same seed gives the same network."""
    restore()
    usual = BUILDERS[name]().statistics(images)
    keras.config.set_image_data_format("channels_first")
    try:
        keras.utils.set_random_seed(0)
        found = BUILDERS[name]().statistics(images)
    finally:
        restore()
    for statistic, values in found.items():
        np.testing.assert_allclose(values, usual[statistic], rtol=1e-5, err_msg=statistic)


@pytest.mark.once
@pytest.mark.parametrize("change", TRAINED, indirect=True)
def test_detectors_of_ones_own_are_trained(change, images, tmp_path):
    """Built, trained, calibrated, saved: statistics are float32 and finite, what is loaded again scores alike."""
    change()
    detector = BUILDERS["tilted"]()
    prepared = keras.ops.convert_to_numpy(detector.preprocessing(images)).astype(np.float32)
    history = detector.fit(prepared, epochs=1, batch_size=20, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    detector.calibrate(images, batch_size=20)
    statistics = detector.statistics(images, batch_size=20)
    assert {values.dtype.name for values in statistics.values()} == {"float32"}
    assert all(np.all(np.isfinite(values)) for values in statistics.values())
    detector.save_pretrained(tmp_path)
    again, exact = keras_ood.from_pretrained(tmp_path), detector.inference_copy("float32")
    np.testing.assert_allclose(again.score(images, "nll"), exact.score(images, "nll"), rtol=1e-4)


@pytest.mark.once
@pytest.mark.parametrize("change", TRAINED, indirect=True)
def test_encoders_and_gates_are_the_same_under_any_setting(change):
    """The published encoder's features, and a gate fitted in them."""
    made = np.random.default_rng(0).integers(0, 256, (60, 22, 22, 1), dtype=np.uint8)

    def gate():
        encoder = random_encoder((22, 22, 1))
        fitted = PerImageGate.from_images(encoder, made[:40], made[40:], components=4)
        return encode(encoder, made), keras.ops.convert_to_numpy(fitted(made[:8])["mahalanobis"])

    usual = gate()
    change()
    for found, values in zip(gate(), usual, strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, values, rtol=1e-5)


def test_threads_do_not_undo_each_other():
    """Two within the block, one leaves: the other still computes in 32 bits; at the end all is the caller's again."""
    restore()
    keras.config.set_floatx("float64")
    inside, leave = threading.Event(), threading.Event()

    def other():
        with own_settings():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with own_settings():
        thread.start()
        assert inside.wait(10)
    assert keras.config.floatx() == "float32"
    leave.set()
    thread.join()
    assert keras.config.floatx() == "float64"
    restore()
