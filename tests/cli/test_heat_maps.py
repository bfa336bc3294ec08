"""Where images are odd, from the command line: heat maps of images, and how well they find defects."""

import csv
import json

import numpy as np
import pytest
from invoking import run
from PIL import Image

import keras_ood
from keras_ood.cli import score
from keras_ood.evaluation import evaluate_masks
from keras_ood.plots import overlay

pytestmark = pytest.mark.once

MODEL = "tilted-vae-digits"


@pytest.fixture(scope="module")
def mine(digits, tmp_path_factory):
    """A preset whose maps are calibrated on eighty digits, by the command."""
    folder = tmp_path_factory.mktemp("heat")
    np.save(folder / "digits.npy", digits[1][:80])
    value = json.loads(run("calibrate", MODEL, folder / "digits.npy", "--out", folder / "mine", "--maps", "--json").stdout)
    assert value["maps"] is True
    return folder / "mine"


@pytest.fixture(scope="module")
def detector(mine):
    """What the preset holds."""
    return keras_ood.from_pretrained(mine)


@pytest.fixture
def photos(tmp_path, digits):
    """Digits of the same name in two folders, a negative whose suffix differs, a broken file in their midst."""
    for number, name in enumerate(("a/0.png", "a/1.png", "b/0.png", "b/1.png")):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits[1][100 + number, ..., 0]).save(tmp_path / "photos" / name)
    Image.fromarray(255 - digits[1][104, ..., 0]).save(tmp_path / "photos/b/1.tif")
    (tmp_path / "photos/a/0b.png").write_bytes(b"no image")
    return tmp_path / "photos"


def files(folder):
    """The files of a folder by their paths in it."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def pixels(path):
    """What anybody reads of a file."""
    with Image.open(path) as image:
        return np.array(image)


def test_each_image_has_its_map(mine, detector, photos, tmp_path):
    """Names keep folders, a broken file shifts none; files and table hold what Python gives."""
    run("score", mine, photos, "--unreadable", "skip", "--out", tmp_path / "s.csv", "--heat-maps", tmp_path / "maps", "-b", 2)
    maps = {"a/0": "a/0.png", "a/1": "a/1.png", "b/0": "b/0.png", "b/1": "b/1.png", "b/1-2": "b/1.tif"}
    assert files(tmp_path / "maps") == sorted(f"{name}{suffix}" for name in maps for suffix in (".png", ".tiff"))
    images = np.stack([pixels(photos / source) for source in maps.values()])[..., None]
    heat, prepared = detector.heat_map(images), np.asarray(detector.preprocessing(images))
    for name, expected, image in zip(maps, heat, prepared, strict=True):
        found = pixels(tmp_path / "maps" / f"{name}.tiff")
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=0.025)  # a step: a score may lie within rounding of one kept
        np.testing.assert_array_equal(pixels(tmp_path / "maps" / f"{name}.png"), overlay(image, found))
    with (tmp_path / "s.csv").open(newline="") as file:
        rows = {row["path"]: row["score"] for row in csv.DictReader(file)}
    assert rows.pop(str(photos / "a/0b.png")) == ""
    assert list(rows) == [str(photos / source) for source in maps.values()]
    np.testing.assert_allclose(np.array(list(rows.values()), float), detector.score(images), rtol=1e-5)


@pytest.mark.parametrize("kind", ["array", "frames", "files"])
def test_names_of_other_sources(kind, detector, digits, tmp_path, monkeypatch):
    """Images of an array and frames have their number; of files here and there the path below what holds all."""
    monkeypatch.setattr(score, "load", lambda model: detector)
    stack = digits[1][100:103]
    if kind == "array":
        np.save(tmp_path / "images.npy", stack)
        given, expected = [tmp_path / "images.npy"], ["images[1]", "images[2]"]
    elif kind == "frames":
        frames = [Image.fromarray(image[..., 0]) for image in stack]
        frames[0].save(tmp_path / "many.tif", save_all=True, append_images=frames[1:])
        given, expected = [tmp_path / "many.tif", "--frames", "all"], ["many[1]", "many[2]"]
    else:
        given, expected = [tmp_path / "x" / "0.png", tmp_path / "y", tmp_path / "z.v1.png"], ["y/0", "z.v1"]
        for image, path in zip(stack, (given[0], tmp_path / "y" / "0.png", given[2]), strict=True):
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(image[..., 0]).save(path)
    run("score", MODEL, *given, "--start", 1, "--heat-maps", tmp_path / "maps")
    assert files(tmp_path / "maps") == sorted(f"{name}{suffix}" for name in expected for suffix in (".png", ".tiff"))


def test_heat_maps_that_cannot_be_had(mine, photos, tmp_path):
    """Maps without calibration, a folder of something else, a rate out of reach and Ray are errors before the work."""
    asked = ("--unreadable", "skip", "--heat-maps", tmp_path / "maps")
    error = run("score", MODEL, photos, *asked, code=1).stderr
    assert "call `detector.calibrate_maps(images)`" in error
    assert "Next: keras-ood calibrate MODEL IMAGES --out FOLDER [--method SCORE] [--maps]" in error
    assert "`fpr` must be at least" in run("score", mine, photos, *asked, "--fpr", 0.02, code=1).stderr
    assert "--engine local" in run("score", mine, photos, *asked, "--engine", "ray", "--out", tmp_path / "r", code=1).stderr
    assert not (tmp_path / "maps").exists()
    assert "Heat maps need a folder that is absent or empty" in run("score", mine, photos, "--heat-maps", photos, code=1).stderr


@pytest.fixture
def category(tmp_path, digits):
    """Eight digits without and four with a defect, a bar across, of two kinds, in MVTec AD's folders."""
    folder = tmp_path / "digits"
    for number, image in enumerate(digits[1][100:113, ..., 0]):
        kind = "train/good" if number == 0 else "test/good" if number < 9 else "test/bar" if number < 11 else "test/bars"
        mask = np.zeros_like(image)
        mask[2:4] = 255 if number > 8 else 0
        for path, levels in ((kind, np.maximum(image, mask)), (kind.replace("test", "ground_truth"), mask)):
            if levels.any():
                (folder / path).mkdir(parents=True, exist_ok=True)
                Image.fromarray(levels).save(folder / path / f"{number:03}.png")
    return folder


def test_defects_are_found_where_masks_have_them(mine, detector, category, tmp_path):
    """A row for each kind and one for all, as JSON and as CSV, the same as in Python; pictures on request."""
    masked = keras_ood.datasets.masked_images(category)
    expected = [vars(row) for row in evaluate_masks(detector, masked)]
    more = ("--json", "--out", tmp_path / "rows.csv", "--plots", tmp_path / "plots")
    value = json.loads(run("evaluate", mine, "--masks", category, *more).stdout)
    assert [row["defect"] for row in value["rows"]] == ["bar", "bars", "all"]
    for row, one in zip(value["rows"], expected, strict=True):
        assert row == pytest.approx(one, abs=1e-5)
    assert value["rows"][2]["images"] == 4
    assert value["rows"][2]["clean_images"] == 8
    assert value["rows"][2]["pixel_auroc"] > 0.8
    assert (tmp_path / "rows.csv").read_text().count("\n") == 4
    assert (tmp_path / "plots" / "heat-maps.png").stat().st_size > 5000


def test_masks_without_calibrated_maps(category, tmp_path):
    """AUROCs and PRO need no calibration; nothing is said of flags, and pictures are refused."""
    shown = run("evaluate", MODEL, "--masks", category).stdout
    assert "keras-ood calibrate --maps" in shown
    assert all(line.count(" - ") == 2 for line in shown.splitlines() if " bar" in line)
    assert "No calibration of maps" in run("evaluate", MODEL, "--masks", category, "--plots", tmp_path, code=1).stderr


def test_masks_stand_alone(category):
    """Either sets or masks are evaluated, and what belongs to sets is refused beside masks."""
    assert "--ood, or --masks" in run("evaluate", MODEL, code=2).stderr
    assert "--ood, or --masks" in run("evaluate", MODEL, "--ood", "noise", "--masks", category, code=2).stderr
    error = run("evaluate", MODEL, "--masks", category, "--method", "nll", "--frames", "all", code=1).stderr
    assert "Received: --method, --frames all" in error
