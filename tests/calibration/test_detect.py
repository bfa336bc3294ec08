"""What a detector decides: rates that are held, with confidence, by group, and under covariate shift."""

import numpy as np
import pytest
from PIL import Image

import keras_ood
from keras_ood import NotCalibratedError, datasets
from keras_ood.calibration.rule import Rule
from keras_ood.models import CovariateShift

LOW, HIGH = "few strokes", "many strokes"


@pytest.fixture(scope="module")
def detector():
    return keras_ood.from_pretrained("tilted-vae-digits")


@pytest.fixture(scope="module")
def images(digits):
    return np.concatenate([digits[1], 255 - digits[1][:60]])


def test_a_false_discovery_rate_is_that_of_the_images_given(detector, images):
    """The rule, of p-values at hand; of fewer odd images fewer are flagged."""
    p_values = detector.p_values(images)
    flags = detector.detect(images, fdr=0.1)
    whole = [(slice(None), detector.calibration())]
    np.testing.assert_array_equal(flags, Rule(fdr=0.1).flags(p_values, whole))
    np.testing.assert_array_equal(
        detector.detect(images, fdr=0.1, storey=True), Rule(fdr=0.1, storey=True).flags(p_values, whole)
    )
    assert flags[-60:].sum() > 30
    assert flags[:-60].mean() < 0.1


def test_confidence_makes_p_values_larger_and_flags_fewer(detector, images):
    """Both rules and the p-values say which calibration they are about."""
    p_values, sure = detector.p_values(images), detector.p_values(images, confidence=0.9)
    assert np.all(sure >= p_values)
    np.testing.assert_array_equal(sure, detector.calibration().conditional(p_values, 0.9))
    flags = detector.detect(images, 0.05, confidence=0.9)
    np.testing.assert_array_equal(flags, detector.score(images) > detector.threshold(0.05, confidence=0.9))
    assert 0 < flags.sum() < detector.detect(images, 0.05).sum()


def test_each_group_is_calibrated_for_itself(detector, digits):
    """Digits by the number of dark pixels: p-values and flags are those of their own group's calibration; saved and loaded."""
    made = detector.inference_copy()
    held_out = digits[1]
    groups = np.where((held_out > 0).mean(axis=(1, 2, 3)) > 0.5, HIGH, LOW)
    made.calibrate(held_out, "nll", groups=groups)
    with pytest.raises(NotCalibratedError, match="not calibrated by group"):
        made.mondrian()
    mondrian, new = made.mondrian("nll"), digits[0][:50]
    assert mondrian.groups == {name: int(np.sum(groups == name)) for name in (LOW, HIGH)}
    labels = np.array([LOW, HIGH])[np.arange(50) % 2]
    scores = made.score(new, "nll")
    expected = np.select([labels == name for name in (LOW, HIGH)], [mondrian.of(name).p_values(scores) for name in (LOW, HIGH)])
    np.testing.assert_array_equal(made.p_values(new, "nll", groups=labels), expected)
    np.testing.assert_array_equal(made.detect(new, 0.2, "nll", groups=labels), expected <= 0.2)
    np.testing.assert_array_equal(made.p_values(new, "nll"), made.calibration("nll").p_values(scores))
    copy = made.inference_copy()
    copy._calibrated = type(made.calibrated).from_arrays(made.calibrated.arrays())
    np.testing.assert_array_equal(copy.p_values(new, "nll", groups=labels), expected)
    made.calibrate(held_out, "nll")
    with pytest.raises(NotCalibratedError, match="not calibrated by group"):
        made.p_values(new, "nll", groups=labels)


def test_folders_are_groups_by_their_names(detector, digits, tmp_path):
    """Files of held-out images and of new ones lie in folders of the same names, wherever these are."""
    made = detector.inference_copy()
    for place, part in (("held out", digits[1][:60]), ("new", digits[0][:10])):
        for number, image in enumerate(part):
            folder = tmp_path / place / ("even" if number % 2 == 0 else "odd")
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0]).save(folder / f"{number:03}.png")
    made.calibrate(tmp_path / "held out", "nll", groups="folder")
    assert made.mondrian("nll").groups == {"even": 30, "odd": 30}
    found = made.p_values(tmp_path / "new", "nll", groups="folder")
    ordered = np.concatenate([digits[0][:10:2], digits[0][1:10:2]])
    np.testing.assert_array_equal(found, made.p_values(ordered, "nll", groups=np.repeat(["even", "odd"], 5)))


def test_covariate_shift(detector, digits):
    """Of the classes that score highest come more than were held out: weighted p-values keep the rate better than others."""
    images, labels = datasets.load("digits", "test")
    rare = np.isin(labels, (7, 8))
    held_out = np.concatenate([np.flatnonzero(~rare)[:200], np.flatnonzero(rare)[:30]])
    rest = np.setdiff1d(np.arange(len(images)), held_out)
    new = images[np.concatenate([rest[rare[rest]], rest[~rare[rest]][:20]])]
    train, train_labels = datasets.load("digits", "train")
    rare = np.isin(train_labels, (7, 8))
    target = np.concatenate([train[rare][:100], train[~rare][:60]])
    shift = CovariateShift(detector, images[held_out], target, method="nll")
    plain = detector.inference_copy()
    plain.calibrate(images[held_out], "nll")
    assert 0.6 < shift.auroc < 0.9
    assert 20 <= shift.effective_size < 100
    assert shift.detect(new, 0.2).mean() < plain.detect(new, 0.2, "nll").mean()
    known = CovariateShift(detector, images[held_out], weights=lambda seen: np.ones(len(seen)), method="nll")
    np.testing.assert_allclose(known.p_values(new), plain.p_values(new, "nll"))
    assert known.auroc is None


class TestErrors:
    """Each says what is accepted and ends with what came."""

    def test_two_rates(self, detector, images):
        with pytest.raises(ValueError, match=r"One rate is held.*Received: fpr=0.05, fdr=0.1$"):
            detector.detect(images, 0.05, fdr=0.1)

    def test_rates_out_of_reach_before_any_image_is_scored(self, detector):
        for rates in ({"fpr": 0.001}, {"fdr": 0.001}, {"fpr": 0.01, "confidence": 0.95}):
            with pytest.raises(ValueError, match=r"Received: f[pd]r=0.0"):
                detector.detect(iter(()), **rates)

    def test_unknown_group(self, detector, digits):
        made = detector.inference_copy()
        made.calibrate(digits[1][:60], "nll", groups=np.repeat([0, 1], 30))
        with pytest.raises(ValueError, match=r"those that have: \['0', '1'\].*Received: '2'$"):
            made.p_values(digits[0][:3], "nll", groups=[0, 1, 2])
        with pytest.raises(ValueError, match=r"one label an image, 3 in all. Received: .*\(2,\)$"):
            made.p_values(digits[0][:3], "nll", groups=[0, 1])

    def test_small_group(self, detector, digits):
        with pytest.raises(ValueError, match=r"Every group takes at least 20.*Received: {'b': 19}$"):
            detector.inference_copy().calibrate(digits[1][:60], "nll", groups=["a"] * 41 + ["b"] * 19)

    def test_shift_too_large(self, detector, digits):
        with pytest.raises(ValueError, match=r"too unlike those to come.*Received: 60 images that count as"):
            CovariateShift(detector, digits[1][:120], 255 - digits[1][:100], method="nll")

    @pytest.mark.parametrize("given", [{}, {"target": np.zeros((30, 8, 8, 1)), "weights": len}], ids=["neither", "both"])
    def test_target_or_weights(self, detector, digits, given):
        with pytest.raises(ValueError, match=r"estimated from `target` or given as `weights`. Received: (neither|both)$"):
            CovariateShift(detector, digits[1], **given)
