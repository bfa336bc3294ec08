"""Rates that the command holds: false discoveries, with confidence, by group; and what it says of its promises."""

import csv
import json

import numpy as np
import pytest
from invoking import run
from PIL import Image

import keras_ood
from keras_ood.calibration.guarantees import promise

pytestmark = pytest.mark.once

MODEL = "tilted-vae-digits"


@pytest.fixture(scope="module")
def photos(tmp_path_factory, digits):
    """80 digits and 40 inverted ones, one in two folders each, and a broken file."""
    folder = tmp_path_factory.mktemp("photos")
    for number, image in enumerate([*digits[1][:80], *(255 - digits[1][:40])]):
        place = folder / ("even" if number % 2 == 0 else "odd")
        place.mkdir(exist_ok=True)
        Image.fromarray(image[..., 0]).save(place / f"{number:03}.png")
    (folder / "odd" / "broken.png").write_text("none")
    return folder


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def detector():
    return keras_ood.from_pretrained(MODEL)


@pytest.fixture(scope="module")
def pixels(digits):
    """What the files hold, in their order."""
    images = np.concatenate([digits[1][:80], 255 - digits[1][:40]])
    return np.concatenate([images[0::2], images[1::2]])


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({"fdr": 0.1}, ["--fdr", "0.1"]),
        ({"fdr": 0.1, "storey": True}, ["--fdr", "0.1", "--storey"]),
        ({"fpr": 0.1, "confidence": 0.9}, ["--fpr", "0.1", "--confidence", "0.9"]),
    ],
    ids=["fdr", "storey", "confidence"],
)
def test_score_flags_as_detect_does(options, arguments, photos, detector, pixels, tmp_path):
    """The same flags, the same p-values, every image a row in its order, the broken one an empty one."""
    out = tmp_path / "scores.csv"
    summary = json.loads(run("score", MODEL, photos, "--unreadable", "skip", "--out", out, "--json", *arguments).stdout)
    rows = read(out)
    assert [row["path"] for row in rows] == sorted(map(str, photos.rglob("*.png")))
    flags = detector.detect(pixels, **options)
    assert [row["ood"] for row in rows if row["score"]] == [str(flag) for flag in flags]
    assert [row["path"][-10:] for row in rows if not row["score"]] == ["broken.png"]
    assert summary["flagged"] == flags.sum() > 0
    assert summary["images"] == 120
    assert summary["fdr" if "fdr" in options else "fpr"] == 0.1


def test_scores_are_not_lost_where_flags_wait_for_the_last(photos, tmp_path, monkeypatch):
    """Stopped in the middle, a run that holds a false discovery rate leaves its rows without flags, and says so."""
    from keras_ood.evaluation import judge

    class Stopped(judge.Judge):
        def rest(self):
            raise KeyboardInterrupt

    monkeypatch.setattr(judge, "Judge", Stopped)
    result = run("score", MODEL, photos, "--unreadable", "skip", "--fdr", "0.1", "--out", tmp_path / "scores.csv", code=130)
    rows = read(tmp_path / "scores.csv")
    assert len(rows) == 121
    assert {row["ood"] for row in rows} == {""}
    assert sum(bool(row["p_value"]) for row in rows) == 120
    assert "without flags" in result.output


def test_groups_are_folders(photos, digits, tmp_path):
    """Calibrated by folder, images are ranked among those of the folder of the same name."""
    for number, image in enumerate(digits[1][80:320]):
        place = tmp_path / "held_out" / ("even" if number < 100 else "odd")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(place / f"{number:03}.png")
    made = tmp_path / "made"
    value = json.loads(
        run("calibrate", MODEL, tmp_path / "held_out", "--groups", "--method", "nll", "--out", made, "--json").stdout
    )
    assert value["groups"] == {"even": 100, "odd": 140}
    out = tmp_path / "scores.csv"
    run("score", made, photos, "--groups", "--method", "nll", "--unreadable", "skip", "--out", out)
    mondrian = keras_ood.from_pretrained(made).mondrian("nll")
    for row in read(out):
        if row["score"]:
            group = row["path"].split("/")[-2]
            assert float(row["p_value"]) == mondrian.of(group).p_values(np.float32(row["score"]))
            assert row["ood"] == str(float(row["p_value"]) <= 0.05)


def test_promises_are_told(digits, tmp_path):
    """By `info` and by `calibrate`: what the calibration's size is worth."""
    promised = promise(200, 0.05)
    assert json.loads(run("info", MODEL, "--json").stdout)["promised"] == promised
    np.save(tmp_path / "digits.npy", digits[1][:60])
    made = run("calibrate", MODEL, tmp_path / "digits.npy", "--method", "nll", "--out", tmp_path / "made").output
    assert promise(60, 0.05) in " ".join(made.split())
    assert promise(60, 0.05)[:60] not in json.loads(run("info", MODEL, "--json").stdout)["promised"]


ERRORS = {
    "two rates": (["--fpr", "0.05", "--fdr", "0.1"], "One rate is held"),
    "storey": (["--storey"], "goes with `fdr`"),
    "out of reach": (["--fdr", "0.001"], "no p-value is below"),
    "not by group": (["--groups"], "not calibrated by group"),
    "ray": (["--engine", "ray", "--fdr", "0.1"], "take `--engine local`"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_one_line(name, photos):
    """Each names what is accepted."""
    arguments, words = ERRORS[name]
    assert words in " ".join(run("score", MODEL, photos, *arguments, code=1).output.split())
