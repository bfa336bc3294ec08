"""A calibration belongs to certain weights, to how scores were measured, and to images of which each counts once."""

import warnings

import keras
import numpy as np
import pytest

from keras_ood import NotCalibratedError
from keras_ood.calibration.calibrated_scores import CalibratedScores, Passes, weights_digest
from keras_ood.evaluation.evaluate import evaluate
from keras_ood.models import InFlow, TiltedVAE

COUNT, BATCH = 60, 30
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8, 1), dtype=np.uint8)


@pytest.fixture(scope="module")
def made():
    """A calibrated detector, a file of its weights, and the weights."""
    keras.utils.set_random_seed(0)
    detector = TiltedVAE((8, 8, 1), latent_dim=3, tilt=6.0, default_score="typicality")
    detector.compile("sgd")
    return detector


@pytest.fixture
def detector(made):
    """Calibrated; its weights are put back after each test."""
    before = made.get_weights()
    made.calibrate(IMAGES, ["nll", "typicality"], batch_size=BATCH)
    yield made
    made.set_weights(before)


def scaled(weights):
    return [1.5 * weight for weight in weights]


def step_outside(detector):
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.apply(
        [np.ones(variable.shape, np.float32) for variable in detector.trainable_variables], detector.trainable_variables
    )


CHANGES = {
    "set_weights": lambda detector: detector.set_weights(scaled(detector.get_weights())),
    "one weight": lambda detector: detector.loc_head.bias.assign(detector.loc_head.bias + 1.0),
    "train_on_batch": lambda detector: detector.train_on_batch(IMAGES[:BATCH]),
    "fit": lambda detector: detector.fit(IMAGES, batch_size=BATCH, verbose=0),
    "an optimizer's step": step_outside,
}
USES = {
    "p_values": lambda detector: detector.p_values(IMAGES, batch_size=BATCH),
    "detect": lambda detector: detector.detect(IMAGES, method="nll", batch_size=BATCH),
    "threshold": lambda detector: detector.threshold(0.05, "nll"),
    "calibration": lambda detector: detector.calibration("nll"),
    "a fitted score": lambda detector: detector.score(IMAGES, batch_size=BATCH),
    "export": lambda detector: detector.export("model", "tf_saved_model", method="nll"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_calibration_does_not_outlive_its_weights(detector, change):
    """However the weights change, what was calibrated is gone, and every use says why; put back, it holds again."""
    before, p_values = detector.get_weights(), detector.p_values(IMAGES, batch_size=BATCH)
    CHANGES[change](detector)
    for use in USES.values():
        with pytest.raises(NotCalibratedError, match="the weights have changed since the last, call"):
            use(detector)
    assert detector.calibrated_scores() == []
    detector.set_weights(before)
    np.testing.assert_array_equal(detector.p_values(IMAGES, batch_size=BATCH), p_values)


def test_quantized_weights_are_other_weights():
    """`quantize` changes every kernel: the calibration is gone."""
    keras.utils.set_random_seed(0)
    detector = TiltedVAE((8, 8, 1), latent_dim=3, tilt=6.0)
    detector.calibrate(IMAGES, ["nll"], batch_size=BATCH)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras': some layers are left as they are
        detector.loc_head.quantize("int8")
    with pytest.raises(NotCalibratedError, match="weights have changed"):
        detector.threshold(0.05)


def test_loaded_weights_bring_their_own_calibration(detector, tmp_path):
    """A file of weights has the calibration that belonged to them, and none that outlived them."""
    calibrated, outlived = tmp_path / "calibrated.weights.h5", tmp_path / "outlived.weights.h5"
    detector.save_weights(calibrated)
    p_values = detector.p_values(IMAGES, batch_size=BATCH)
    detector.set_weights(scaled(detector.get_weights()))
    detector.save_weights(outlived)
    detector.load_weights(calibrated)
    np.testing.assert_array_equal(detector.p_values(IMAGES, batch_size=BATCH), p_values)
    detector.load_weights(outlived)
    assert detector.calibrated_scores() == []


def test_scores_calibrated_with_other_weights_are_dropped(detector):
    """A second calibration adds to the first one where the weights are the same, and takes its place where not."""
    detector.calibrate(IMAGES, "kl", batch_size=BATCH)
    assert detector.calibrated_scores() == ["nll", "kl", "typicality"]
    detector.set_weights(scaled(detector.get_weights()))
    detector.calibrate(IMAGES, ["kl"], batch_size=BATCH)
    assert detector.calibrated_scores() == ["kl"]


def test_p_values_take_the_passes_of_their_calibration(detector):
    """Calibrated with stochastic passes, p-values are taken with the same unasked, and with no others."""
    detector.calibrate(IMAGES, ["nll", "typicality"], samples=3, seed=7, batch_size=BATCH)
    for method in ("nll", "typicality"):
        expected = detector.calibration(method).p_values(detector.score(IMAGES, method, samples=3, seed=7, batch_size=BATCH))
        np.testing.assert_array_equal(detector.p_values(IMAGES, method, batch_size=BATCH), expected)
    for options in ({"samples": None}, {"samples": 8}, {"seed": 1}, {"samples": 3, "seed": 0}):
        for call in (detector.p_values, detector.detect, lambda images, **rest: detector.score(images, "typicality", **rest)):
            with pytest.raises(ValueError, match=r"calibrated with {'samples': 3, 'seed': 7}.*Received: "):
                call(IMAGES, batch_size=BATCH, **options)
    with pytest.raises(ValueError, match="calibrated with"):
        detector.export("model", "tf_saved_model", method="nll")


def test_the_seed_counts_where_a_score_draws(detector):
    """`iwae` draws by the seed without `samples`: its p-values take the seed of the calibration, unasked and no other."""
    detector.calibrate(IMAGES, ["iwae"], seed=5, batch_size=BATCH)
    assert detector.passes("iwae") == Passes(None, 5)
    expected = detector.calibration("iwae").p_values(detector.score(IMAGES, "iwae", seed=5, batch_size=BATCH))
    np.testing.assert_array_equal(detector.p_values(IMAGES, "iwae", batch_size=BATCH), expected)
    with pytest.raises(ValueError, match=r"'seed': 5.*Received: .*'seed': 7"):
        detector.p_values(IMAGES, "iwae", seed=7, batch_size=BATCH)


def test_evaluate_takes_the_passes_of_fitted_scores(detector):
    """What a fitted score keeps compares with the same passes alone: taken unasked, others refused, or left out of all."""
    detector.calibrate(IMAGES, ["nll", "typicality"], samples=3, seed=7, batch_size=BATCH)
    report = evaluate(detector, IMAGES, 255 - IMAGES, resamples=0, batch_size=BATCH)
    assert {row.method for row in report.rows} >= {"nll", "typicality"}
    expected = detector.statistics(IMAGES, samples=3, seed=7, batch_size=BATCH)["nll"]
    np.testing.assert_array_equal(report.statistics["in_distribution"]["nll"], expected)
    other = evaluate(detector, IMAGES, 255 - IMAGES, resamples=0, batch_size=BATCH, samples=None)
    assert "typicality" not in {row.method for row in other.rows}
    with pytest.raises(ValueError, match="calibrated with"):
        evaluate(detector, IMAGES, 255 - IMAGES, "typicality", samples=None, batch_size=BATCH)


@pytest.mark.parametrize("options", [{"seed": None}, {"seed": -1}, {"seed": [1]}, {"samples": True}, {"samples": 2.5}])
def test_samples_and_seed_are_whole_numbers(detector, options):
    """Anything else would draw other noise each time, or fail later."""
    with pytest.raises(ValueError, match=r"must be .*Received: "):
        detector.calibrate(IMAGES, ["nll"], batch_size=BATCH, **options)


def test_passes_are_saved(detector, tmp_path):
    """The number of stochastic passes and their seed are kept with the weights."""
    detector.calibrate(IMAGES, ["nll"], samples=3, seed=7, batch_size=BATCH)
    detector.save_weights(tmp_path / "kept.weights.h5")
    p_values = detector.p_values(IMAGES, "nll", batch_size=BATCH)
    detector.calibrate(IMAGES, ["nll"], batch_size=BATCH)
    detector.load_weights(tmp_path / "kept.weights.h5")
    np.testing.assert_array_equal(detector.p_values(IMAGES, "nll", batch_size=BATCH), p_values)


def test_arrays_give_back_what_they_were_made_of():
    """Calibrations, passes and the digest of the weights go through arrays unchanged."""
    from keras_ood import scores

    kept = CalibratedScores([scores.get("nll")], {"nll": np.arange(30.0)}, bytes(range(32)), Passes(5, 2))
    again = CalibratedScores.from_arrays(kept.arrays())
    assert again.weights == bytes(range(32))
    assert again.passes("nll", {}) == Passes(5, 2)
    assert all(CalibratedScores.owns(name) for name in kept.arrays())


def test_the_digest_sees_every_number_and_shape_and_the_order():
    """Equal only for the same arrays in the same order."""
    weights = [np.arange(6.0), np.ones((2, 3), np.float32)]
    digest = weights_digest(weights)
    assert digest == weights_digest([weight.copy() for weight in weights])
    assert digest != weights_digest(weights[::-1])
    others = ([np.arange(6.0) + 1e-12, weights[1]], [np.arange(6.0).reshape(2, 3), weights[1]], weights[:1])
    assert digest not in {weights_digest(other) for other in others}


def test_duplicates_count_once(detector):
    """Images given twice give the calibration of the images given once, and a warning says how many were left out."""
    alone = detector.calibration("typicality").scores
    twice = np.concatenate([IMAGES[:10], IMAGES, IMAGES[::-1]])
    with pytest.warns(UserWarning, match="left out 70 of 130 images: duplicates of others"):
        detector.calibrate(twice, ["nll"], batch_size=BATCH)
    assert len(detector.calibration("nll")) == COUNT
    with pytest.warns(UserWarning, match="left out 60 of 120 images"):
        detector.calibrate(iter([IMAGES.repeat(2, axis=0)]), batch_size=BATCH)
    np.testing.assert_allclose(detector.calibration("typicality").scores, alone, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="Received: 19 different ones of 95"):
        detector.calibrate(IMAGES[:19].repeat(5, axis=0), ["nll"], batch_size=BATCH)


def test_near_duplicates_are_told(detector):
    """Frames of a video, each nearly the one before: a warning with their share. Images on their own: none."""
    scenes = np.random.default_rng(1).uniform(0, 255, (5, 1, 8, 8, 1)).repeat(20, axis=1)
    frames = np.clip(scenes + np.random.default_rng(2).normal(0, 2, scenes.shape), 0, 255).reshape(-1, 8, 8, 1)
    with pytest.warns(UserWarning, match="100% of the calibration images are nearly equal to another one"):
        detector.calibrate(frames.astype(np.uint8), ["nll"], batch_size=BATCH)


@pytest.mark.once
def test_real_images_are_no_near_duplicates_but_frames_are(pretrained, real):
    """MNIST, Fashion-MNIST and CIFAR-10 hold few near-duplicates; GTSRB, frames of videos, is told."""
    for name, told in {"mnist": False, "fashion_mnist": False, "cifar10": False, "gtsrb": True}.items():
        split = "train" if name == "gtsrb" else "test"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pretrained.inference_copy().calibrate(real(name, split)[0][:5000], ["nll"], batch_size=500)
        assert any("nearly equal" in str(warning.message) for warning in caught) == told, name


def test_a_flow_starts_from_images_without_losing_its_calibration_to_a_refusal():
    """A refused call of `fit` changes nothing: neither the weights of a fresh flow nor its calibration."""
    flow = InFlow((8, 4, 1), depth=1)
    flow.calibrate(IMAGES, ["nll"], batch_size=BATCH)
    with pytest.raises(ValueError, match="Received: floats"):
        flow.fit(IMAGES.astype(np.float32))
    assert flow.calibrated_scores() == ["nll"]
