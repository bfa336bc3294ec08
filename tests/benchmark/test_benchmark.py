"""The benchmark: complete, resumable, and its report."""

import shutil

import numpy as np
import pytest

from keras_ood import benchmark, scores
from keras_ood.benchmark import rates, runner
from keras_ood.benchmark.cell import Cell, corrupted_sets, outside_sets
from keras_ood.benchmark.networks import Networks
from keras_ood.datasets import load
from keras_ood.hub import handles
from keras_ood.recipes.recipe import Recipe
from keras_ood.tables.records import read_records, write_records
from keras_ood.training.note import write_note
from keras_ood.training.train_seed import WEIGHTS

pytestmark = pytest.mark.once  # the scores are tested on both backends

PRESET = "tilted-vae-digits"
COSTLY = ["will_it_move", "gradient_norm"]
LIMITS = benchmark.Limits(images=60, costly_images=50, calibration=120, resamples=3, further=("noise", "constant"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A benchmark of one preset on two costly scores, finished."""
    folder = tmp_path_factory.mktemp("benchmark")
    for _ in benchmark.run([PRESET], folder, folder / "runs", COSTLY, LIMITS):
        pass
    return folder


def test_every_score_is_measured_trained_and_untrained(folder):
    """Rows for all cheap scores and the costly ones asked for, per image or transductive, with cost and rate."""
    rows = runner.records(folder)
    others = {"waic", "mahalanobis", "knn", "fusion", "peak", "likelihood_ratio"}
    cheap = {name for name in scores.names() if scores.get(name).cheap} - others
    for weights in ("trained", "untrained"):
        assert {row["method"] for row in rows if row["weights"] == weights} == cheap | set(COSTLY)
    assert {row["out_of_distribution"] for row in rows if row["method"] == "nll"} >= {
        "noise",
        "constant",
        "jpeg-1",
        "contrast-5",
    }
    assert {row["out_of_distribution"] for row in rows if row["method"] == COSTLY[0]} == {"noise", "constant"}
    counts = {method: {row["in_images"] for row in rows if row["method"] == method} for method in ("nll", COSTLY[0])}
    assert counts == {"nll": {"60"}, COSTLY[0]: {"50"}}
    assert {row["method"] for row in rows if row["tag"] == "transductive"} == {"will_it_move"}
    assert all(0 <= float(row["auroc"]) <= 1 for row in rows)
    assert all(row["auroc_low"] for row in rows if row["weights"] == "trained")
    trained, untrained = (
        [row["auroc"] for row in rows if row["method"] == "nll" and row["weights"] == weights]
        for weights in ("trained", "untrained")
    )
    assert trained != untrained


def test_a_killed_run_goes_on_where_it_stopped(folder, monkeypatch):
    """Only the cell whose file is gone is measured again; an unfinished file counts for nothing."""
    gone = next((folder / runner.CELLS).glob("*untrained*gradient_norm.*.csv"))
    before = read_records(gone)
    gone.rename(gone.with_suffix(".unfinished"))
    measured, measure = [], Cell.measure
    monkeypatch.setattr(Cell, "measure", lambda self, *rest: measured.append(self) or measure(self, *rest))
    for _ in benchmark.run([PRESET], folder, folder / "runs", COSTLY, LIMITS):
        pass
    assert [cell.group for cell in measured] == ["gradient_norm"]
    gone.with_suffix(".unfinished").unlink()
    again = read_records(gone)
    assert [row["auroc"] for row in again] == [row["auroc"] for row in before]


def test_other_limits_are_measured_anew(folder, monkeypatch):
    """Rows measured under other limits are not mixed with these."""
    keys = {runner._key(Cell(PRESET, "trained", 0, "cheap"), {"digits"}, limits) for limits in (LIMITS, benchmark.Limits())}
    assert len(keys) == 2
    with pytest.raises(ValueError, match=r"Costly scores are .*Received: \['nll'\]"):
        benchmark.plan([PRESET], ["nll"], folder)


def test_finished_seeds_are_measured_too(tmp_path, pretrained):
    """Those that lie in the folder of trainings, each trained and untrained, and the ensemble of all; costly scores once."""
    recipe = Recipe.read(handles.resolve(PRESET) / "recipe.toml")
    for seed, note in ((1, {"recipe": recipe.digest, "seed": 1}), (2, None)):
        finished = tmp_path / PRESET / f"seed-{seed}"
        finished.mkdir(parents=True)
        pretrained.save_weights(finished / WEIGHTS)
        if note is not None:
            write_note(finished, note)
    cells = benchmark.plan([PRESET], ["gradient_norm"], tmp_path)
    assert [(cell.weights, cell.seed, cell.group) for cell in cells] == [
        *(("trained", seed, "cheap") for seed in (0, 1, "all")),
        *(("untrained", seed, "cheap") for seed in (0, 1, "all")),
        ("trained", 0, "gradient_norm"),
        ("untrained", 0, "gradient_norm"),
    ]


def test_rates_stand_beside_scores(folder, tmp_path, monkeypatch, pretrained):
    """A row for every score; a preset's rows take the place of those before; a folder without results is refused."""
    recipe = Recipe.read(handles.resolve(PRESET) / "recipe.toml")
    monkeypatch.setattr(Networks, "of", lambda *_: Networks(recipe, {0: pretrained}))
    monkeypatch.setattr(rates, "images_per_second", lambda *_: 5.0)
    with pytest.raises(ValueError, match=r"Received: .* without results\.csv"):
        next(benchmark.measure_rates([PRESET], tmp_path, tmp_path, [], LIMITS))
    write_records(tmp_path / "results.csv", runner.records(folder))
    for _ in range(2):
        assert list(benchmark.measure_rates([PRESET], tmp_path, tmp_path, [], LIMITS)) == [PRESET]
    assert [row["method"] for row in read_records(tmp_path / "rates.csv")] == scores.available(pretrained, cheap=True)
    benchmark.write_report(tmp_path)
    assert f"| digits | {PRESET} | pixels | density_of_states | 5 | 1.000 |" in (tmp_path / "README.md").read_text()


def test_a_rate_is_of_whole_batches(pretrained, monkeypatch):
    """Three batches at most, timed after one that may compile; fewer images are one batch."""
    scored = []
    monkeypatch.setattr(pretrained, "score", lambda images, *_, **__: scored.append(len(images)))
    assert rates.images_per_second(pretrained, np.zeros((1000, 1)), "nll") > 0
    assert rates.images_per_second(pretrained, np.zeros((60, 1)), "nll") > 0
    assert scored == [256, 768, 60, 60]


def test_rows_of_presets_that_are_not_measured_stay(folder, tmp_path):
    """A report of some presets leaves the others' rows in the table, replaces its own, and says what each looks at."""
    shutil.copytree(folder / "cells", tmp_path / "cells")
    rows = runner.records(folder)
    other = {"preset": "tilted-vae-cifar10", "looks_at": "an encoder", "default_score": "typicality"}
    before = [row | changes for changes in ({}, other, {"preset": "of no zoo"}, {"method": "kl"}) for row in rows]
    write_records(tmp_path / "results.csv", before)
    benchmark.write_report(tmp_path)
    kept = read_records(tmp_path / "results.csv")
    own = {row["method"] for row in rows} - {"kl"}
    assert len(kept) == sum(1 + (row["method"] in {*own, "kl"}) for row in rows)
    markdown = (tmp_path / "README.md").read_text().split("## The default score")[1]
    assert markdown.index("| tilted-vae-cifar10 | an encoder | typicality |") < markdown.index(f"| {PRESET} | pixels |")
    benchmark.write_report(tmp_path)  # once more, of what is there
    (tmp_path / "cells").rename(tmp_path / "gone")
    benchmark.write_report(tmp_path)
    assert read_records(tmp_path / "results.csv") == kept
    write_records(tmp_path / "results.csv", [{"preset": PRESET}])
    with pytest.raises(ValueError, match=r"earlier version.*Received: .*without \['auroc'"):
        benchmark.write_report(tmp_path)


def test_no_report_of_nothing(tmp_path):
    """An empty folder has no report."""
    with pytest.raises(ValueError, match=r"Received: .* without any"):
        benchmark.write_report(tmp_path)


def test_outside_sets_are_as_large_as_the_inside():
    """Each set once, never the in-distribution one, as many images as there are inside."""
    inside = load("digits", "test")[0][:20]
    sets = outside_sets("digits", inside, ["digits", "noise", "constant", "noise"]) | corrupted_sets(inside)
    assert "digits" not in sets
    assert len(sets) == 2 + 25
    assert all(len(images) == 20 for images in sets.values())
