"""What every detector does, checked on a table of constructors."""

import json

import keras
import numpy as np
import pytest

import keras_ood
from keras_ood import NotCalibratedError
from keras_ood.attention import PerImageGate
from keras_ood.models import InFlow, TiltedVAE
from keras_ood.models.detector import Detector


def fitted_gate() -> PerImageGate:
    """A gate of a random encoder that took noise for in-distribution."""
    encoder = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, 2), keras.layers.Flatten()])
    noise = np.random.default_rng(1).integers(0, 256, (130, 8, 8, 1), dtype=np.uint8)
    return PerImageGate.from_images(encoder, noise[:90], noise[90:], components=4)


DETECTORS = {
    "tilted": lambda: TiltedVAE((8, 8, 1), latent_dim=3, tilt=6.0),
    "tilted, exact KL, fixed scale": lambda: TiltedVAE((8, 8, 1), latent_dim=3, tilt=6.0, kl="exact", scale=0.1),
    "flow": lambda: InFlow((8, 4, 1), depth=1),
    "paper's flow": lambda: InFlow((8, 8, 3), "paper", depth=1),
    "flow with a gate": lambda: InFlow((8, 4, 1), depth=1, attention=fitted_gate()),
    "Gaussian, colour": lambda: TiltedVAE((16, 8, 3), latent_dim=3, tilt=0),
}


BATCH = 20
"""Of all tests here: every further size is compiled anew."""


@pytest.fixture(scope="module", params=DETECTORS)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def detector(name) -> Detector:
    """Fresh weights; tests must not change them."""
    keras.utils.set_random_seed(0)
    return DETECTORS[name]()


@pytest.fixture(scope="module")
def trained(name, images):
    """A detector after three epochs, its weights before, and the history; tests must not train it on."""
    keras.utils.set_random_seed(0)
    detector = DETECTORS[name]()
    before = {weight.path: weight.numpy().copy() for weight in detector.trainable_variables}
    prepared = keras.ops.convert_to_numpy(detector.preprocessing(images))
    detector.compile(keras.optimizers.Adam(1e-4))
    history = detector.fit(prepared, epochs=3, batch_size=BATCH, verbose=0).history
    return detector, before, history


def test_statistics_are_finite_float32_one_per_image(detector, images):
    """Every statistic is float32 of shape (N,), finite, whatever the images' size and number of channels."""
    statistics = detector.statistics(images, batch_size=BATCH)
    assert {"nll", "latent_norm"} <= set(statistics)
    for name, values in statistics.items():
        assert values.shape == (40,), name
        assert values.dtype == np.float32, name
        assert np.all(np.isfinite(values)), name


def test_scores_vary(detector, images):
    """No score is constant: an untrained detector too must tell images apart."""
    statistics = detector.statistics(images, batch_size=BATCH)
    for name in detector.ready_scores():
        assert np.std(detector.score_statistics(statistics, name)) > 1e-4, name


def test_fit_moves_every_weight(trained):
    """Training changes every trainable weight and lowers the loss."""
    detector, before, history = trained
    assert history["loss"][-1] < history["loss"][0]
    for weight in detector.trainable_variables:
        assert np.any(before[weight.path] != weight.numpy()), weight.path


def test_scores_do_not_depend_on_the_batch(detector, images):
    """An image has the same score alone, in any batch and in any order."""
    together = detector.score(images, batch_size=BATCH)
    np.testing.assert_allclose(detector.score(images[::-1], batch_size=17)[::-1], together, rtol=1e-4)
    np.testing.assert_allclose(detector.score(images[3:4], batch_size=BATCH), together[3:4], rtol=1e-4)


def test_scores_are_deterministic(detector, images):
    """Two calls agree to the bit; stochastic passes agree for a seed, and differ between seeds."""

    def score(**options):
        return detector.score(images, batch_size=BATCH, **options)

    np.testing.assert_array_equal(score(), score())
    drawn = score(samples=3, seed=1)
    np.testing.assert_array_equal(drawn, score(samples=3, seed=1))
    assert np.any(drawn != score(samples=3, seed=2))


def test_save_and_load(trained, images, tmp_path):
    """Plain Keras loads the folder: same class, scores, calibration and p-values; no optimizer is written."""
    detector = trained[0]
    detector.calibrate(images, batch_size=BATCH)
    detector.save_pretrained(tmp_path / "preset")
    loaded = keras.saving.load_model(tmp_path / "preset", safe_mode=True)
    assert type(loaded) is type(detector)
    assert json.dumps(loaded.get_config()) == json.dumps(detector.get_config())
    assert loaded.calibrated_scores() == detector.calibrated_scores()
    options = {"batch_size": BATCH}
    np.testing.assert_allclose(loaded.score(images, **options), detector.score(images, **options), rtol=1e-6)
    np.testing.assert_array_equal(loaded.calibration().scores, detector.calibration().scores)
    np.testing.assert_array_equal(loaded.p_values(images, **options), detector.p_values(images, **options))
    assert not loaded.compiled
    numbers = sum(int(np.prod(weight.shape)) for weight in loaded.weights)
    assert (tmp_path / "preset" / "model.weights.h5").stat().st_size < 4 * numbers + 200_000


def test_samples_are_images(detector):
    """Samples are float32 images of the detector's shape in 0..1, the same for a seed."""
    drawn = detector.sample(5, seed=3)
    assert drawn.shape == (5, *detector.image_shape)
    assert drawn.dtype == np.float32
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    np.testing.assert_array_equal(drawn, detector.sample(5, seed=3))
    assert np.any(drawn != detector.sample(5, seed=4))


def test_mixed_precision_keeps_statistics_in_float32(images):
    """Under mixed precision networks compute in 16 bits, statistics stay float32 and close to full precision."""
    exact = DETECTORS["tilted"]()
    mixed = exact.inference_copy("mixed_bfloat16")
    assert keras.config.dtype_policy().name == "float32"
    assert mixed.encoder.layers[0].compute_dtype == "bfloat16"
    for name, values in mixed.statistics(images).items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, exact.statistics(images)[name], rtol=0.05, atol=0.05, err_msg=name)
    mixed.fit(keras.ops.convert_to_numpy(mixed.preprocessing(images)), batch_size=BATCH, verbose=0)
    assert np.all(np.isfinite(mixed.score(images)))


def test_precision_is_asked_for_by_name(pretrained, digits):
    """`from_pretrained(dtype=...)` keeps the calibration; an unknown policy is refused with those that are known."""
    half = keras_ood.from_pretrained("tilted-vae-digits", dtype="mixed_bfloat16")
    assert half.decoder.layers[-1].compute_dtype == "bfloat16"
    difference = half.score(digits[1][:50], "nll") - pretrained.score(digits[1][:50], "nll")
    assert 0 < np.abs(difference).max() < 5
    assert half.threshold(0.05) == pretrained.threshold(0.05)
    with pytest.raises(ValueError, match=r"mixed_bfloat16.*Received: 'float64'"):
        pretrained.inference_copy("float64")


def test_scores_come_batch_by_batch(pretrained, digits):
    """`iterate_scores` yields what `score` returns, reads one batch ahead and no more, and refuses a bad score at once."""
    read = []

    def batches():
        for start in range(0, 160, 32):
            read.append(start)
            yield digits[1][start : start + 32]

    scores = pretrained.iterate_scores(batches(), batch_size=32)
    assert read == []
    first = next(scores)
    assert read == [0, 32]
    np.testing.assert_array_equal(np.concatenate([first, *scores]), pretrained.score(digits[1][:160], batch_size=32))
    with pytest.raises(ValueError, match="Received: 'no such score'"):
        pretrained.iterate_scores(digits[1], "no such score")


def test_detect_is_the_p_value_at_most_fpr(pretrained, digits):
    """`detect(fpr)` flags exactly the images whose p-value is at most fpr."""
    _, test = digits
    p_values = pretrained.p_values(test)
    for fpr in (0.01, 0.05, 0.31):
        np.testing.assert_array_equal(pretrained.detect(test, fpr=fpr), p_values <= fpr)


def test_fit_drops_the_calibration(fresh, images):
    """Scores of other weights say nothing: after `fit`, p-values need a new calibration."""
    detector = fresh()
    detector.calibrate(images)
    detector.fit(keras.ops.convert_to_numpy(detector.preprocessing(images)), batch_size=BATCH, verbose=0)
    with pytest.raises(NotCalibratedError, match="calibrate"):
        detector.p_values(images)


def test_progress_goes_to_standard_error(fresh, images, capsys):
    """A bar that is asked for is drawn on standard error, standard output stays clean; off a terminal there is none."""
    fresh().score(images, progress=True, batch_size=8)
    printed = capsys.readouterr()
    assert "40/40" in printed.err
    assert printed.out == ""
    fresh().score(images)
    assert capsys.readouterr().err == ""


def test_scores_through_a_bar_are_the_same(fresh, images):
    """The bar changes nothing."""
    detector = fresh()
    np.testing.assert_array_equal(detector.score(images, progress=True), detector.score(images, progress=False))


BAD_IMAGES = {
    "rank": (np.zeros((4, 8, 8), np.uint8), "rank 3"),
    "channels": (np.zeros((4, 8, 8, 2), np.uint8), "2 channels"),
    "dtype": (np.zeros((4, 8, 8, 1), np.int64), "dtype int64"),
    "range": (np.full((4, 8, 8, 1), 255.0), "floats from 255 to 255"),
    "negative": (np.full((4, 8, 8, 1), -0.1), "floats from -0.1"),
    "nan": (np.full((4, 8, 8, 1), np.nan), "256 values that are NaN"),
    "infinity": (np.full((4, 8, 8, 1), np.inf, np.float32), "256 values"),
    "empty": (np.zeros((0, 8, 8, 1), np.uint8), "empty batch"),
    "text": ("no/such/folder", "no/such/folder"),
    "number": (3.5, "float"),
    "nothing": (iter([]), "yields no image"),
}


@pytest.mark.parametrize("method", ["score", "statistics", "calibrate", "p_values", "detect"])
@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_images_are_refused(pretrained, name, method):
    """Every method that takes images refuses what it cannot take and says what it received."""
    value, received = BAD_IMAGES[name]
    with pytest.raises((ValueError, FileNotFoundError), match=r"Received: .*" + received.replace(".", r"\.")):
        getattr(pretrained, method)(value)


def test_fit_refuses_bad_images(fresh):
    """`fit` checks arrays as scoring does."""
    with pytest.raises(ValueError, match="Received: floats from 255"):
        fresh().fit(np.full((4, 8, 8, 1), 255.0))


@pytest.mark.parametrize("call", ["p_values", "detect", "threshold"])
def test_uncalibrated_detectors_give_no_p_values(fresh, images, call):
    """p-values, thresholds and flags before calibration: an error of their own that says what to do."""
    arguments = (0.05,) if call == "threshold" else (images,)
    with pytest.raises(NotCalibratedError, match="calibrate"):
        getattr(fresh(), call)(*arguments)


def test_calibration_needs_twenty_images(fresh, images):
    """19 images are refused, 20 are enough."""
    with pytest.raises(ValueError, match=r"at least 20 different images.*Received: 19"):
        fresh().calibrate(images[:19])
    detector = fresh()
    detector.calibrate(images[:20])
    assert len(detector.calibration()) == 20


def test_unreachable_fpr(pretrained, digits):
    """200 calibration images cannot promise 1 in 1,000; the error says what they can."""
    with pytest.raises(ValueError, match=r"0\.00498.*Received: fpr=0\.001"):
        pretrained.detect(digits[1], fpr=0.001)


def test_unknown_scores_list_close_ones(pretrained, digits):
    """A nearly right score fails and names the right one."""
    with pytest.raises(ValueError, match=r"Did you mean 'reconstruction'.*Received: 'reconstructoin'"):
        pretrained.score(digits[1], method="reconstructoin")


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"samples": 0}])
def test_bad_options(pretrained, digits, options):
    """Sizes below one are refused."""
    with pytest.raises(ValueError, match="Received: 0"):
        pretrained.score(digits[1], "nll", **options)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 2), (0, 8, 1)])
def test_bad_image_shapes(fresh, shape):
    """`image_shape` is (height, width, 1 or 3)."""
    with pytest.raises(ValueError, match="Received: "):
        fresh(image_shape=shape)
