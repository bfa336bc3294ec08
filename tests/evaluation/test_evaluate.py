"""Evaluation: both sides along one path, every number from scores."""

import dataclasses

import numpy as np
import pytest

import keras_ood
from keras_ood.datasets.named import named_images
from keras_ood.evaluation.metrics import detection_metrics
from keras_ood.evaluation.result import Result
from keras_ood.tables.records import read_rows


def test_report_holds_what_the_scores_give(pretrained, digits):
    """Rows equal the metrics of `score` on both sides; every set and method has a row; counts are those of the images."""
    inside, outside = digits[1], 255 - digits[1][:50]
    report = keras_ood.evaluate(pretrained, inside, {"negative": outside, "noise": None}, ["nll", "kl"], resamples=5)
    assert [(row.out_of_distribution, row.method) for row in report.rows] == [
        ("negative", "nll"),
        ("negative", "kl"),
        ("noise", "nll"),
        ("noise", "kl"),
    ]
    row = report.rows[1]
    assert (row.in_images, row.out_images) == (360, 50)
    expected = detection_metrics(pretrained.score(inside, "kl"), pretrained.score(outside, "kl"))
    assert {name: getattr(row, name).value for name in expected} == pytest.approx(expected)


def test_images_against_themselves_are_at_chance(pretrained, digits):
    """The same images on both sides: AUROC 0.5 by identity, whatever the score."""
    for row in keras_ood.evaluate(pretrained, digits[1], {"same": digits[1]}, resamples=0).rows:
        assert row.auroc.value == pytest.approx(0.5, abs=1e-9)


def test_names_stand_for_test_splits(pretrained, digits):
    """A data set's name is its whole test split; a synthetic set is made from the in-distribution images."""
    np.testing.assert_array_equal(named_images("digits"), digits[1])
    np.testing.assert_array_equal(named_images("inverted", digits[1]), 255 - digits[1])
    with pytest.raises(ValueError, match="Received: 'mnits'"):
        named_images("mnits")


def test_out_of_distribution_sets_are_given_in_many_ways(pretrained, digits):
    """A name, names and images alone are what the mapping of them is; a score may be one text; what is named twice is one."""
    inside, noise = digits[1], named_images("noise", digits[1])

    def rows(sets, methods="nll"):
        return keras_ood.evaluate(pretrained, inside, sets, methods, resamples=0).rows

    expected = rows({"noise": noise}, ["nll"])
    for given in ("noise", ["noise"], ("noise", "noise"), {"noise": None}):
        assert rows(given, ("nll", "nll")) == expected
    assert rows(noise) == [dataclasses.replace(expected[0], out_of_distribution="out_of_distribution")]


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ({"in_distribution": None}, {}, r"none named 'in_distribution'.*Received: \['in_distribution'\]"),
        ({3: None}, {}, r"Received: \[3\]"),
        ({}, {}, r"at least one.*Received: \{\}"),
        ([], {}, r"at least one.*Received: \{\}"),
        (None, {}, "at least one.*Received: None"),
        (["noise", "nois"], {}, "Did you mean 'noise'.*Received: 'nois'"),
        ("", {}, r"Received: \[''\]"),
        ("noise", {"methods": "nlll"}, "Did you mean 'nll'"),
        ("noise", {"resamples": -1}, "Received: -1"),
        ("noise", {"resamples": True}, "Received: True"),
    ],
)
def test_what_cannot_be_measured_is_refused_first(pretrained, given, options, message):
    """A set that would take the place of the in-distribution one, no set, no such name: said before any image is looked at."""
    with pytest.raises(ValueError, match=message):
        keras_ood.evaluate(pretrained, iter([]), given, **options)


def test_scores_that_are_not_finite_are_named(fresh, digits):
    """NaN is no score: the error says of which one, and where."""
    broken = fresh()
    broken.loc_head.kernel.assign(np.nan * broken.loc_head.kernel.numpy())
    with pytest.raises(ValueError, match=r"Received: 20 and 20 scores, 40 not finite: score 'nll' on 'noise'"):
        keras_ood.evaluate(broken, digits[1][:20], "noise", "nll")


def test_csv_round_trip(pretrained, digits, tmp_path):
    """What is written is read back, intervals and extra columns included."""
    report = keras_ood.evaluate(pretrained, digits[1], {"noise": None}, ["nll"], resamples=5)
    report.to_csv(tmp_path / "results.csv", weights="trained", seed=0)
    (result,) = read_rows(tmp_path / "results.csv", Result)
    assert (result.weights, result.seed, result.out_of_distribution, result.method) == ("trained", 0, "noise", "nll")
    assert result.in_images == len(digits[1])
    auroc = report.rows[0].auroc
    expected = pytest.approx((auroc.value, auroc.low, auroc.high), abs=1e-5)
    assert (result.auroc, result.auroc_low, result.auroc_high) == expected
    assert (result.aupr_in, result.aupr_out, result.fpr95) == pytest.approx(
        tuple(metric.value for metric in (report.rows[0].aupr_in, report.rows[0].aupr_out, report.rows[0].fpr95)), abs=1e-5
    )


def test_a_pretrained_detector_beats_its_untrained_network(pretrained, digits):
    """Trained weights must tell rotated digits from upright ones; the same network untrained cannot."""
    untrained = type(pretrained).from_config(pretrained.get_config())
    trained_row, untrained_row = (
        keras_ood.evaluate(detector, digits[1], {"rotated": None}, ["nll"], resamples=0).rows[0]
        for detector in (pretrained, untrained)
    )
    assert trained_row.auroc.value > 0.99
    assert untrained_row.auroc.value < 0.7
