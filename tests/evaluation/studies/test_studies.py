"""Sets of images, and attacked images, seen by an InFlow."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_ood import datasets
from keras_ood.attention import PerImageGate
from keras_ood.backend.compiled import gradient
from keras_ood.encoders import trained_encoder
from keras_ood.evaluation.studies import adversarial, set_level
from keras_ood.models import InFlow
from keras_ood.networks.classifier import build_classifier


@pytest.fixture(scope="module")
def detector(pretrained):
    """An InFlow of digits behind the gate of the zoo's digits detector; the flow is hardly trained."""
    images, _ = datasets.load("digits", "train")
    gate = PerImageGate.from_images(trained_encoder(pretrained), images[:900], images[900:], reference=300, components=16)
    detector = InFlow((8, 8, 1), depth=1, attention=gate)
    detector.initialize(images)
    return detector


def test_rejections(detector, tmp_path):
    """Noise is rejected more with more images and a larger share; class-pure sets are, mixed ones hardly."""
    few = str(tmp_path / "few.npy")
    np.save(few, np.zeros((20, 8, 8, 1), np.uint8))
    measure = set_level.SetLevel(detector, "digits", sets=20)
    rows = {
        (row.images, row.drawn, row.size, row.ratio): row.rejected
        for row in measure.rejections(["noise", few], sizes=(2, 30), ratios=(1.0, 0.1))
    }
    assert rows["digits", "mixed", 30, 0.0] <= 0.3
    assert rows["digits", "class-pure", 30, 0.0] >= 0.9
    assert rows["noise", "mixed", 30, 1.0] == 1
    assert rows["noise", "mixed", 30, 1.0] >= rows["noise", "mixed", 30, 0.1]
    assert ("noise", "mixed", 2, 0.1) not in rows  # a tenth of two images is none
    assert {key[2:] for key in rows if key[0] == few} == {(2, 1.0), (30, 0.1)}  # no 30 of 20 images
    assert len(rows) == 2 * 2 + 3 + 2


def test_set_scores_share_an_attention(detector):
    """All images of a rejected set get their closed score, those of others keep the open one; the last set takes the rest."""
    digits = datasets.load("digits", "test")[0]
    gate = detector.attention.set_gate()
    features = gate.features(np.concatenate([digits[:60], datasets.synthesize("noise", digits)[:45]]))
    opened, closed = np.arange(105.0), -1 - np.arange(105.0)
    scores = set_level.set_scores(gate, features, opened, closed, size=30)
    sets = [slice(0, 30), slice(30, 60), slice(60, 105)]
    for one in sets:
        rejected = gate.test_features(features[one], seed=one.start).p_value <= gate.alpha
        np.testing.assert_array_equal(scores[one], (closed if rejected else opened)[one])
    np.testing.assert_array_equal(scores[sets[-1]], closed[sets[-1]])


@pytest.mark.once
def test_protocol_and_why(detector):
    """The published protocol finds in-distribution images "out-of-distribution" of themselves; the honest numbers do not."""
    flow = InFlow((32, 32, 1), depth=1, attention=detector.attention)
    images, _ = datasets.load("digits", "train")
    flow.initialize(images[:200])
    (protocol,) = set_level.SetLevel(flow, "digits").protocols(["noise"])
    assert protocol.images == "noise"
    values = dataclasses.asdict(protocol)
    del values["images"]
    assert all(0 <= value <= 1 for value in values.values())
    assert protocol.published == 1
    assert protocol.published_against_itself > 0.9
    assert protocol.per_image > 0.9


def test_the_adaptive_attack_differentiates_through_gate_and_flow(detector):
    """What it climbs has a gradient at every image, and a step along it is a gain."""
    images = datasets.load("digits", "test")[0]
    study = adversarial.Adversarial(
        detector, build_classifier((8, 8, 1), 10), images[:8], np.arange(8, dtype="uint8"), images[8:58]
    )
    slopes = gradient(study._evasive_margin)(study.images, study.labels)
    assert np.all(np.isfinite(slopes))
    assert np.all(np.abs(slopes).sum(axis=(1, 2, 3)) > 0)
    before, after = (
        keras.ops.convert_to_numpy(study._evasive_margin(keras.ops.convert_to_tensor(np.clip(moved, 0, 1)), study.labels))
        for moved in (study.images, study.images + 1e-4 * slopes / np.abs(slopes).max(axis=(1, 2, 3), keepdims=True))
    )
    assert np.mean(after > before) > 0.8


@pytest.mark.once
def test_attacked_images(detector):
    """Each attack fools the classifier more as it grows; strong changes are noticed, and every AUROC is one."""
    keras.utils.set_random_seed(3)
    images, labels = datasets.load("digits", "test")
    classifier = build_classifier((8, 8, 1), 10)
    classifier.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    train_images, train_labels = datasets.load("digits", "train")
    classifier.fit(train_images / np.float32(255), train_labels, epochs=12, verbose=0)
    study = adversarial.Adversarial(detector, classifier, images[:60], labels[:60], images[60:])
    rows = {(row.attack, row.strength): row for row in study.rows(strengths=(4, 80))}
    assert set(rows) == {(name, strength) for name in ("FGSM", "PGD", "adaptive PGD") for strength in (4, 80)} | {
        ("DeepFool", None)
    }
    for row in rows.values():
        assert row.images == 60
        assert all(0 <= value <= 1 for value in (row.plain_flow, row.per_image, row.gate_alone, row.set_level))
    for name in ("FGSM", "PGD", "adaptive PGD"):
        assert rows[name, 80].fooled > rows[name, 4].fooled
        assert rows[name, 80].change > rows[name, 4].change
    assert rows["PGD", 80].fooled >= rows["FGSM", 80].fooled
    assert rows["DeepFool", None].fooled > 0.8
    assert rows["PGD", 80].gate_alone > 0.8
    assert rows["adaptive PGD", 80].gate_alone < rows["PGD", 80].gate_alone


def test_studies_need_a_gate(fresh):
    """A detector without a per-image gate is refused."""
    for build in (
        lambda: set_level.SetLevel(InFlow((8, 8, 1), depth=1), "digits"),
        lambda: adversarial.Adversarial(fresh(), None, np.zeros((1, 8, 8, 1)), np.zeros(1), None),
    ):
        with pytest.raises(ValueError, match=r"need.* an InFlow with a per-image gate\. Received: "):
            build()


def test_what_a_study_cannot_be_of_is_refused_first(detector):
    """Before any image is looked at or a classifier trained: images too small, sets that are none, another shape."""
    large = InFlow((32, 32, 1), depth=1, attention=detector.attention)
    for check, message in [
        (lambda: set_level.check(detector, "digits"), r"at least 22x22. Received: \(8, 8, 1\)"),
        (lambda: set_level.check(large, "mnist"), "Received: 'mnist'"),
        (lambda: set_level.check(large, "mnist", ["noise", "nois"]), "Received: 'nois'"),
        (lambda: adversarial.measure(large, "digits", None), r"shape \(32, 32, 1\). Received: \(8, 8, 1\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            check()
    set_level.check(large, "digits")
    adversarial.check(detector, "digits")
