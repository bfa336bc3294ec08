"""The full spectrum: hand-made scores with known answers, the rows of a real detector, the study and its section."""

import numpy as np
import pytest

from keras_ood import datasets
from keras_ood.calibration.conformal import Calibration
from keras_ood.calibration.not_calibrated_error import NotCalibratedError
from keras_ood.evaluation import spectrum
from keras_ood.evaluation.metrics import detection_metrics, exact_interval
from keras_ood.evaluation.spectrum import MILD, UNIT
from keras_ood.evaluation.spectrum_row import SpectrumRow
from keras_ood.evaluation.studies import spectrum as study
from keras_ood.hub import preset

pytestmark = pytest.mark.once  # the doctest of `spectrum` runs on both backends


class Brightness:
    """A detector whose score is an image's mean level; calibrated with 0, 1, ..., 98, of which one is above 97."""

    image_shape = (8, 8, 1)

    class entrance:  # noqa: N801
        """Pixels."""

        feature_space = None

    def __init__(self):
        self.seen = []

    def threshold(self, fpr):
        return self.calibration().threshold(fpr)

    def calibration(self):
        return Calibration(np.arange(99.0))

    def iterate_p_values(self, images, progress=None):
        self.seen.append(images)
        for part in np.array_split(images, 3):
            scores = part.mean(axis=(1, 2, 3))
            yield scores, self.calibration().p_values(scores)


@pytest.fixture(scope="module")
def rows():
    """The rows of brightness on digits, by kind and name, and the sets that were scored."""
    detector = Brightness()
    found = spectrum(detector, "digits", ["inverted", "blurred"], images=200)
    return {(row.kind, row.name): row for row in found}, detector.seen


def level(images):
    return images.mean(axis=(1, 2, 3))


def test_every_set_is_scored_once(rows):
    """Test images, five corruptions, two sets and the unit tests: one pass each."""
    found, seen = rows
    assert len(seen) == 1 + 5 + 2 + len(UNIT)
    kinds = [kind for kind, _ in found]
    assert kinds == ["test"] + ["class"] * 10 + ["mild"] * 5 + ["ood"] * 2 + ["unit"] * len(UNIT)
    assert [len(images) for images in seen] == [200] + [40] * 5 + [200] * 2 + [100] * len(UNIT)


def test_numbers_by_hand(rows):
    """Flagged are scores above the thresholds 98 and 94; AUROC against test images, and against mild ones beside them."""
    found, seen = rows
    own, mild, inverted = level(seen[0]), np.concatenate([level(images) for images in seen[1:6]]), level(seen[6])
    row = found["ood", "inverted"]
    assert (row.flagged_at_1, row.flagged_at_5) == (np.sum(inverted > 98), np.sum(inverted > 94))
    assert row.auroc == detection_metrics(own, inverted)["auroc"]
    assert row.auroc_full == detection_metrics(np.concatenate([own, mild]), inverted)["auroc"]
    assert row.fpr95_full == detection_metrics(np.concatenate([own, mild]), inverted)["fpr95"]
    assert (found["unit", "black"].flagged_at_5, found["unit", "white"].flagged_at_1) == (0, 100)
    assert found["unit", "white"].passes
    assert not found["unit", "black"].passes
    assert found["unit", "black"].auroc == 0
    assert found["test", "digits"].auroc is None
    assert found["mild", "brightness"].auroc_full is None


def test_mild_corruptions_are_those_of_the_first_test_images(rows):
    """Each kind at the mildest severity, of a fifth of the test images."""
    _, seen = rows
    for name, images in zip(datasets.CORRUPTIONS, seen[1:6], strict=True):
        np.testing.assert_array_equal(images, datasets.corrupt(name, seen[0][:40], MILD))


def test_classes_share_out_the_test_images(rows):
    """Images and flags of the classes add up to those of all."""
    found, _ = rows
    classes = [row for (kind, _), row in found.items() if kind == "class"]
    assert [row.name for row in classes] == [str(digit) for digit in range(10)]
    for number in ("images", "flagged_at_1", "flagged_at_5"):
        assert sum(getattr(row, number) for row in classes) == getattr(found["test", "digits"], number)


def test_foreign_classes(real):
    """CIFAR-100 beside CIFAR-10: all of it, and a row for each class, by name; their mean AUROC is that of the set."""
    real("cifar100")
    rows = spectrum(Brightness(), "cifar10", ["cifar100"], images=100)
    classes = [row for row in rows if row.kind == "ood class"]
    (whole,) = (row for row in rows if row.kind == "ood")
    assert len(classes) == 100
    assert classes[13].name == "bus"
    assert sum(row.images for row in classes) == whole.images == 10_000
    assert np.mean([row.auroc for row in classes]) == pytest.approx(whole.auroc)
    assert sum(row.flagged_at_5 for row in classes) == whole.flagged_at_5


def test_a_detector_at_its_own_thresholds(pretrained):
    """The flags are those of `detect`, and twice the same."""
    found, again = (spectrum(pretrained, "digits", images=50, progress=False) for _ in range(2))
    assert found == again
    images = datasets.load("digits", "test")[0]
    chosen = images[np.random.default_rng(0).permutation(len(images))[:50]]
    for fpr, count in ((0.01, found[0].flagged_at_1), (0.05, found[0].flagged_at_5)):
        assert count == pretrained.detect(chosen, fpr).sum()


def test_shares_and_exact_intervals():
    """Counts over images; the interval is Clopper and Pearson's, checked by the binomial tails that define it."""
    row = SpectrumRow("test", "digits", 200, 1, 13)
    assert (row.share(0.01), row.share(0.05)) == (0.005, 0.065)
    low, high = row.interval(0.05)
    from scipy.stats import binom

    assert binom.sf(12, 200, low) == pytest.approx(0.025)
    assert binom.cdf(13, 200, high) == pytest.approx(0.025)
    assert exact_interval(0, 10)[0] == 0
    assert exact_interval(10, 10)[1] == 1


WRONG = {
    "no such set": ({"out_of_distribution": ["nois"]}, r"'blobs'.*Received: \['nois'\]"),
    "a path": ({"out_of_distribution": ["noise", "tests"]}, r"Received: \['tests'\]"),
    "no such data set": ({"inside": "digit"}, "Received: 'digit'"),
    "too few images": ({"images": 4}, "at least 5.*Received: 4 and 1000"),
    "no out images": ({"out_images": 0}, "Received: 5000 and 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_refused_before_any_image_is_scored(case):
    """Names and numbers, with what is accepted."""
    arguments, message = WRONG[case]
    detector = Brightness()
    with pytest.raises(ValueError, match=message):
        spectrum(detector, **{"inside": "digits"} | arguments)
    assert not detector.seen


def test_a_detector_must_promise_one_percent(fresh, digits):
    """Without a calibration, or with too small a one, nothing is measured."""
    detector = fresh(default_score="nll")
    with pytest.raises(NotCalibratedError):
        spectrum(detector, "digits")
    detector.calibrate(digits[0][:60], "nll", progress=False)
    with pytest.raises(ValueError, match=r"at least 1 / \(n \+ 1\).*Received: fpr=0.01"):
        spectrum(detector, "digits")


def test_the_study_and_its_section(pretrained, tmp_path):
    """A file of rows that a preset may have, and a section with alarms, classes, failures and both AUROC."""
    study.check(pretrained, "digits")
    content = {"spectrum": study.study(pretrained, "digits", tmp_path, tmp_path)}
    assert study.CSV in preset.FILES
    text = study.section(tmp_path, content)
    assert "0.3% flagged at 1% (exact 95 % interval over the images: 0.0% to 1.5%), 4.2% flagged at 5% (" in text
    assert "Most false alarms at 5% by class: 1 (21.4%), " in text
    assert "at least 90% are flagged at 5%, each" in text
    assert "| rotated |" in text
    assert "| contrast, mild |" in text
    assert study.section(tmp_path, {}) is None


def test_the_section_names_what_fails(tmp_path):
    """Unit tests that are not passed stand in it with their share; a set without classes has no sentence of them."""
    study.write_records(
        tmp_path / study.CSV,
        [vars(SpectrumRow("test", "gtsrb", 100, 1, 5)), vars(SpectrumRow("unit", "black", 100, 0, 89, 0.5, 0.5, 1.0, 1.0))],
    )
    text = study.section(tmp_path, {"spectrum": {"score": "nll", "calibration_images": 99}})
    assert "less than 90% are flagged at 5% of `black` (89.0%)" in text
    assert "by class" not in text
