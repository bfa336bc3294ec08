"""What the command line prints, and where: JSON, hints, pipes, Ctrl-C."""

import io
import json
import math
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import keras_ood
from keras_ood import benchmark
from keras_ood.benchmark import speed
from keras_ood.cli import console, demo, evaluate, main, score, studies, watching
from keras_ood.evaluation.studies import adversarial, set_level, sweep
from keras_ood.hub import handles, pull, push
from keras_ood.recipes.recipe import Recipe
from keras_ood.training import from_recipe

pytestmark = pytest.mark.once_on_jax

MODEL = "tilted-vae-digits"
COMMIT = "a" * 40


def run(*arguments, code=0, **environment):
    """Invoke the command as a shell does and check its exit code."""
    result = CliRunner().invoke(main.app, [str(argument) for argument in arguments], env=environment, prog_name="keras-ood")
    assert result.exit_code == code, result.output
    return result


def parse(text):
    """Return a JSON document; NaN and Infinity are none."""

    def refuse(constant):
        raise AssertionError(f"no JSON: {constant}")

    return json.loads(text, parse_constant=refuse)


def filled(kind, **values):
    """Return a dataclass with 0.5 in every other field."""
    return kind(**{field.name: 0.5 for field in fields(kind)} | values)


@pytest.fixture
def mine(digits, tmp_path):
    """Sixty digits in a file."""
    np.save(tmp_path / "mine.npy", digits[1][:60])
    (tmp_path / "scores.csv").write_text("path,score\na.png,3.5\n")
    return tmp_path / "mine.npy"


@pytest.fixture
def quick(monkeypatch, tmp_path, pretrained):
    """What takes long, or the Hub, is replaced by what returns at once and talks on standard output meanwhile."""

    def talking(value):
        def work(*arguments, **options):
            print("chatter of a library")
            return value

        return work

    compared = speed.Comparison("scoring", 2.0, 4.0, 2.0, "images/s")
    for place, name, value in (
        (from_recipe, "train", tmp_path),
        (
            demo,
            "run",
            {"preset": MODEL, "fpr": 0.05, "verdicts": [], "left_out": [], "files": ["demo/roc.png"], "seconds": 1.0},
        ),
        (push, "push", push.Published("me/mine", COMMIT, True)),
        (benchmark, "write_report", None),
        (benchmark, "measure_rates", [MODEL]),
        (speed, "measure", [compared]),
        (sweep, "sweep", [{"architecture": "small", "latent_dim": 2, "tilt": 1.0, "nll": math.nan}]),
        (adversarial, "measure", ([filled(adversarial.AdversarialRow, attack="FGSM", strength=None, fooled=math.inf)], 0.9)),
    ):
        monkeypatch.setattr(place, name, talking(value))
    monkeypatch.setattr(benchmark, "run", talking([(SimpleNamespace(preset="x", weights="y", seed=0, group="z"), 1, 1)]))
    monkeypatch.setattr(Recipe, "read", talking(None))
    for module in (evaluate, score, studies, watching):
        monkeypatch.setattr(module, "load", talking(pretrained))
    study = SimpleNamespace(
        rejections=talking([filled(set_level.SetRow, images="noise", drawn="mixed")]),
        protocols=talking([filled(set_level.Protocol, images="noise")]),
    )
    monkeypatch.setattr(set_level, "SetLevel", talking(study))
    monkeypatch.setattr(set_level, "check", talking(None))
    listed = SimpleNamespace(id="me/mine", downloads=3, likes=1, last_modified=None)
    monkeypatch.setattr(pull, "client", lambda: SimpleNamespace(list_models=talking([listed])))


JSON = {
    "list": (["*digits*"], "embedded"),
    "list --hub": ([], "me/mine"),
    "info": ([MODEL], "recipe_sha256"),
    "evaluate": ([MODEL, "--ood", "noise", "-m", "nll", "-m", "kl"], "aupr_out"),
    "demo": (["--out", "demo"], "demo/roc.png"),
    "doctor": ([], "one image"),
    "calibrate": ([MODEL, "mine.npy", "--out", "mine", "-m", "nll"], '"images": 60'),
    "train": (["recipe.toml"], "folder"),
    "publish": ([MODEL, "--repo", "me/mine"], COMMIT),
    "publish --dry-run": ([MODEL, "--repo", "me/mine"], "model.weights.h5"),
    "benchmark": ([MODEL], "results.csv"),
    "benchmark --rates": ([MODEL], "rates.csv"),
    "benchmark --speed": ([], "images/s"),
    "sweep": (["recipe.toml", "-s", "small,2,1"], '"nll": null'),
    "set-level": ([MODEL, "--ood", "noise"], "rejected"),
    "attack": ([MODEL], '"fooled": null'),
    "score": ([MODEL, "mine.npy", "--out", "scores.csv"], '"images": 60'),
    "monitor": ([MODEL, "scores.csv", "--out", "watched.jsonl"], '"alarm": null'),
}


@pytest.mark.parametrize("command", JSON)
def test_json_is_all_that_standard_output_holds(command, quick, mine, monkeypatch):
    """With --json a command prints one document; hints are for people, and what libraries print is kept off."""
    monkeypatch.chdir(mine.parent)
    arguments, part = JSON[command]
    result = run(*command.split(), *arguments, "--json")
    document = parse(result.stdout)
    assert part in result.stdout
    assert part.strip('"') in json.dumps(document)
    assert "Next:" not in result.stderr


def test_every_command_takes_json():
    """No command is left out, but the app, which serves pages."""
    names = {command.name for command in main.app.registered_commands}
    assert {name.split()[0] for name in JSON} <= names
    assert [name for name in sorted(names - {"app"}) if "--json" not in run(name, "--help", NO_COLOR="1").output] == []


def test_scores_as_json_lines(mine, pretrained, tmp_path):
    """`score --json` gives an object for each image, equal to the CSV; `--out x.jsonl` writes the same."""
    lines = [parse(line) for line in run("score", MODEL, mine, "--json").stdout.splitlines()]
    assert [line["path"] for line in lines] == [f"{mine}[{index}]" for index in range(60)]
    np.testing.assert_allclose([line["score"] for line in lines], pretrained.score(str(mine)), rtol=1e-6)
    assert all(line["ood"] == (line["p_value"] <= 0.05) for line in lines)
    run("score", MODEL, mine, "--out", tmp_path / "scores.jsonl")
    assert [parse(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()] == lines


def test_a_skipped_image_is_null(mine, tmp_path):
    """What could not be read has null for score, p-value and flag."""
    (tmp_path / "broken.png").write_bytes(b"no image")
    Image.fromarray(np.load(mine)[0, ..., 0]).save(tmp_path / "digit.png")
    result = run("score", MODEL, tmp_path, "--unreadable", "skip", "--json")
    assert "broken.png" in result.stderr
    broken, digit = map(parse, result.stdout.splitlines())
    assert broken == {"path": str(tmp_path / "broken.png"), "score": None, "p_value": None, "ood": None}
    assert digit["ood"] is False


def test_names_of_files_give_a_terminal_no_orders(tmp_path, monkeypatch):
    """In tables and errors they have escapes, and none is a formula for a spreadsheet."""
    monkeypatch.chdir(tmp_path)
    Image.new("L", (8, 8)).save("=1+1.png")
    Path("\x1b[2J.png").write_bytes(b"no image")
    result = run("score", MODEL, "=1+1.png", "\x1b[2J.png", "--unreadable", "skip")
    assert [line.split(",")[0] for line in result.stdout.splitlines()] == ["path", "./=1+1.png", r"\x1b[2J.png"]
    assert "\x1b" not in result.stdout + result.stderr + run("score", MODEL, "\x1b[2J.png", code=1).stderr


def test_errors_under_json_go_to_standard_error():
    """One line there, exit code 1, and nothing on standard output."""
    result = run("info", "tilted-vae-digit", "--json", code=1)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")


HINTS = {
    "list": (["list", "*digits*"], 0, f"info {MODEL}"),
    "info": (["info", MODEL], 0, f"score {MODEL} IMAGES"),
    "evaluate": (["evaluate", MODEL, "--ood", "noise", "-m", "nll"], 0, f"score {MODEL} IMAGES"),
    "calibrate": (["calibrate", MODEL, "mine.npy", "--out", "mine"], 0, "score mine IMAGES"),
    "train": (["train", "recipe.toml"], 0, "info "),
    "a folder's odd name": (["calibrate", MODEL, "mine.npy", "--out", "$(mine) x"], 0, "score '$(mine) x' IMAGES"),
    "unknown preset": (["info", "tilted-vae-digit"], 1, "list"),
    "not calibrated": (["score", MODEL, "mine.npy", "-m", "iwae"], 1, "calibrate MODEL IMAGES --out FOLDER [--method SCORE]"),
}


@pytest.mark.parametrize("name", HINTS)
def test_the_next_command_is_named(name, quick, mine, monkeypatch):
    """A line on standard error says what to try next."""
    monkeypatch.chdir(mine.parent)
    arguments, code, following = HINTS[name]
    assert f"\nNext: keras-ood {following}" in f"\n{run(*arguments, code=code).stderr}"


def test_a_costly_score_is_calibrated_by_name(mine, tmp_path):
    """`calibrate --method` covers that score; the other calibrations stay."""
    run("calibrate", MODEL, mine, "--out", tmp_path / "mine", "--method", "iwae")
    detector = keras_ood.from_pretrained(tmp_path / "mine")
    assert len(detector.calibration("iwae")) == 60
    assert len(detector.calibration("nll")) > 60


def test_version():
    """`--version` prints the name and the version, and needs no command."""
    assert run("--version").stdout == f"keras-ood {keras_ood.__version__}\n"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "coloured", "whole"),
    [
        (Terminal, {}, True, False),
        (Terminal, {"NO_COLOR": "1"}, False, False),
        (io.StringIO, {}, False, True),
        (io.StringIO, {"FORCE_COLOR": "1"}, True, True),
    ],
)
def test_colours_and_width(stream, environment, coloured, whole, monkeypatch):
    """Colours on a terminal, unless NO_COLOR says otherwise; what is piped is whole, whatever the width of the terminal."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "30", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", stream())
    opened = console.open_console()
    opened.print(console.table([{"long name": "x" * 80, "share": 0.25}], "[title]"))
    opened.print("Done in [red]red[/]")
    text = sys.stdout.getvalue()
    assert ("\x1b[31m" in text) is coloured
    assert ("x" * 80 in text) is whole
    assert "0.250" in text
    assert "[title]" in text.replace("\n", "")


def test_a_pipe_gets_whole_names():
    """The real command into a real pipe: no colour, nothing cut, nothing but the table."""
    environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")}
    code = "from keras_ood.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "list"], capture_output=True, text=True, check=True, env=environment | {"COLUMNS": "40"}
    )
    assert "\x1b" not in done.stdout
    assert "…" not in done.stdout
    assert all(any(name in line for line in done.stdout.splitlines()) for name in keras_ood.list_models())
    assert set(map(len, done.stdout.splitlines())) == {len(done.stdout.splitlines()[0])}


@pytest.mark.parametrize("width", [80, 120])
def test_the_list_fits_a_terminal(width, monkeypatch):
    """Names are whole, what a preset looks at stands above it, and no line is longer; one that is elsewhere has a line."""
    names, find = keras_ood.list_models(), handles.find
    monkeypatch.setattr(handles, "find", lambda name: (None, "on the Hub") if name == names[0] else find(name))
    monkeypatch.setattr(console.out, "width", width)
    lines = run("list").stdout.splitlines()
    assert max(map(len, lines)) <= width
    firsts = [line.split()[0] for line in lines if line.strip()]
    assert [name for name in names if name not in firsts] == []
    groups = [firsts.index(word) for word in ("trained", "pixels", "not")]  # ... on ImageNet, ... on this machine
    assert groups == sorted(groups)
    assert groups[0] < firsts.index("tilted-vae-cifar10") < groups[1] < firsts.index("tilted-vae-digits") < groups[2]
    assert ("density_of_states" in "".join(lines)) == (width == 120)


@pytest.mark.parametrize("kind", ["array", "archive", "folder"])
def test_scoring_goes_on(kind, digits, pretrained, tmp_path):
    """`--start` leaves the first images out; the others have their own names and scores."""
    source = tmp_path / {"array": "images.npy", "archive": "images.npz", "folder": "images"}[kind]
    if kind == "folder":
        source.mkdir()
        for number in range(9):
            Image.fromarray(digits[1][number, ..., 0]).save(source / f"{number}.png")
    else:
        (np.save if kind == "array" else np.savez)(source, digits[1][:9])
    rows = [parse(line) for line in run("score", MODEL, source, "--json", "--start", 4, "-b", 3).stdout.splitlines()]
    names = [f"{source}/{index}.png" if kind == "folder" else f"{source}[{index}]" for index in range(4, 9)]
    assert [row["path"] for row in rows] == names
    np.testing.assert_allclose([row["score"] for row in rows], pretrained.score(digits[1][:9])[4:], rtol=1e-5)


def test_the_start_lies_among_the_images(mine):
    """Beyond the last image nothing is left to score."""
    assert "below the number of images, 60. Received: 60" in run("score", MODEL, mine, "--start", 60, code=1).stderr


@pytest.mark.parametrize(
    ("place", "arguments"),
    [
        ((from_recipe, "train"), ["train", "recipe.toml"]),
        ((benchmark, "run"), ["benchmark", MODEL]),
        ((sweep, "sweep"), ["sweep", "recipe.toml", "-s", "small,2,1"]),
    ],
)
def test_ctrl_c_says_how_to_go_on(place, arguments, quick, monkeypatch):
    """What can be resumed names the command that does it; exit code 130."""

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(*place, interrupt)
    monkeypatch.setattr(sys, "argv", ["keras-ood", *arguments])
    result = run(*arguments, code=130)
    assert result.stdout == ""
    assert f"Go on: keras-ood {' '.join(arguments)}" in result.stderr
