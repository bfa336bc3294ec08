"""The command `monitor`: each kind of source, its options, its errors, and what a kill or Ctrl-C leaves."""

import json
import os
import signal
import subprocess
import sys
import urllib.request

import numpy as np
import pytest
from invoking import run
from PIL import Image
from typer.testing import CliRunner

import keras_ood
from keras_ood.cli import score, streams, watching
from keras_ood.cli.main import app
from keras_ood.cli.score import FLAGGED
from keras_ood.monitoring import endpoint

pytestmark = pytest.mark.once

MODEL = "tilted-vae-digits"


@pytest.fixture(autouse=True)
def _loaded(monkeypatch, pretrained):
    """The preset is loaded once for all tests."""
    for module in (watching, score):
        load = module.load
        monkeypatch.setattr(module, "load", lambda model, load=load: pretrained if model == MODEL else load(model))


@pytest.fixture
def camera(tmp_path, digits):
    """Forty digits in a folder, then ten negatives in another within."""
    folder = tmp_path / "camera"
    (folder / "late").mkdir(parents=True)
    for index in range(50):
        pixels, place = (digits[1][index, ..., 0], folder) if index < 40 else (255 - digits[1][index, ..., 0], folder / "late")
        Image.fromarray(pixels).save(place / f"{index:03}.png")
    return folder


@pytest.fixture
def expected(camera, pretrained):
    """What Python says of the same images."""
    return keras_ood.Monitor(pretrained).update(str(camera))


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def same(found, expected, rtol=1e-5):
    """Assert that lines of JSON say what records do."""
    assert [line["index"] for line in found] == [record.index for record in expected]
    for name in ("score", "p_value", "log10_martingale"):
        values = [getattr(record, name) for record in expected]
        np.testing.assert_allclose([line[name] for line in found], values, rtol=rtol, atol=1e-6)
    assert [line["alarm"] for line in found] == [record.alarm for record in expected]


def test_a_folder(camera, expected, tmp_path):
    """A line of JSON for each image, the alarm told with its file, exit code 3 if asked for, a plot."""
    result = run("monitor", MODEL, camera, "--fail-on-alarm", "--plot", tmp_path / "plot.png", "-b", 7, code=FLAGGED)
    found = lines(result.stdout)
    same(found, expected)
    assert [line["path"] for line in found] == [str(path) for path in sorted(camera.rglob("*.png"))]
    alarm = next(record.index for record in expected if record.alarm)
    assert f"Alarm at image {alarm}, {found[alarm]['path']}" in result.stderr
    assert "the change most plausibly began at image 40" in result.stderr
    with Image.open(tmp_path / "plot.png") as plot:
        assert plot.width > 500


def test_scores_of_a_table_and_of_lines(camera, expected, tmp_path):
    """What `score` wrote, as CSV or JSON Lines, in a file or on standard input; numbers and paths there too."""
    for name in ("scores.csv", "scores.jsonl"):
        run("score", MODEL, camera, "--out", tmp_path / name)
        same(lines(run("monitor", MODEL, tmp_path / name).stdout), expected)
    written = (tmp_path / "scores.jsonl").read_text()
    paths = "".join(f"{path}\n" for path in sorted(camera.rglob("*.png")))
    numbers = "\n".join(str(record.score) for record in expected)
    mixed = "".join([*written.splitlines(True)[:20], "\n", *paths.splitlines(True)[20:]])
    for text in (written, paths, numbers, mixed):
        result = CliRunner().invoke(app, ["monitor", MODEL, "-"], input=text)
        assert result.exit_code == 0, result.output
        same(lines(result.stdout), expected)


def test_what_could_not_be_read_is_left_out(camera, expected, tmp_path):
    """A broken file is an error or skipped, and a row without a score is no image."""
    (camera / "020a.png").write_bytes(b"no image")
    assert "020a.png" in run("monitor", MODEL, camera, code=1).stderr
    result = run("monitor", MODEL, camera, "--unreadable", "skip", "-b", 1)
    same(lines(result.stdout), expected)
    assert "1 unreadable skipped" in result.stderr
    run("score", MODEL, camera, "--unreadable", "skip", "--out", tmp_path / "scores.csv")
    result = run("monitor", MODEL, tmp_path / "scores.csv", "--out", tmp_path / "out.jsonl", "--json")
    summary = json.loads(result.stdout)
    assert {name: summary[name] for name in ("images", "skipped", "change")} == {"images": 50, "skipped": 1, "change": 40}
    same(lines((tmp_path / "out.jsonl").read_text()), expected)


def test_the_same_command_goes_on(camera, expected, tmp_path):
    """With a state: first the digits, then what came since, nothing twice, lines appended; so for a table that grows."""
    (camera / "late").rename(tmp_path / "late")
    arguments = ["monitor", MODEL, camera, "--state", tmp_path / "state", "--out", tmp_path / "out.jsonl", "-b", 16]
    run(*arguments)
    (tmp_path / "late").rename(camera / "late")
    for _ in range(2):
        assert "the change most plausibly began at image 40" in run(*arguments).stderr
    same(lines((tmp_path / "out.jsonl").read_text()), expected)
    run("score", MODEL, camera, "--out", tmp_path / "all.csv")
    table = (tmp_path / "all.csv").read_text().splitlines(True)
    found = []
    for count in (20, 51, 51):
        (tmp_path / "scores.csv").write_text("".join(table[:count]))
        found += lines(run("monitor", MODEL, tmp_path / "scores.csv", "--state", tmp_path / "of-table").stdout)
    same(found, expected)
    assert "another takes another folder" in run(*arguments, "--alpha", "0.05", code=1).stderr


def test_a_folder_is_followed(camera, expected, monkeypatch):
    """Files are taken once they no longer grow, in the order of their names; one that comes late is named and left out."""
    late = sorted((camera / "late").iterdir())
    kept = {path: path.read_bytes() for path in late}
    for path in late:
        path.unlink()
    polls = iter(range(10))

    def arrive(seconds):
        poll = next(polls)
        if poll == 1:
            late[0].write_bytes(kept[late[0]][:50])
            (camera / "000a.png").write_bytes(kept[late[0]])
        elif poll == 2:
            for path, content in kept.items():
                path.write_bytes(content)
        elif poll == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(streams.time, "sleep", arrive)
    result = run("monitor", MODEL, camera, "--follow", code=130)
    same(lines(result.stdout), expected)
    assert "1 files have come whose names sort before" in result.stderr
    assert "Stopped. Alarm at image" in result.stderr


def test_metrics_are_served_meanwhile(camera, monkeypatch):
    """What Prometheus would scrape after the last image."""
    seen = []
    close = endpoint.Endpoint.__exit__

    def scrape_and_close(self, *error):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            seen.append(answer.read().decode())
        close(self, *error)

    monkeypatch.setattr(endpoint.Endpoint, "__exit__", scrape_and_close)
    result = run("monitor", MODEL, camera, "--metrics-port", 0)
    assert "Metrics: http://127.0.0.1:" in result.stderr
    assert "keras_ood_images_total 50.0\n" in seen[0]
    assert "keras_ood_alarm 1.0\n" in seen[0]


def test_windows(camera):
    """With `--window` each window of a detector with a gate is a line; scores have no features."""
    result = run("monitor", "inflow-mnist-pixels", camera, "--window", 10, "--alpha", 0.05, "--fail-on-alarm", code=FLAGGED)
    found = lines(result.stdout)
    assert [line["index"] for line in found] == [0, 10, 20, 30, 40]
    assert "of 5 windows of 10 images alarm, alpha 0.05 each" in result.stderr
    assert "in the features of a gate" in run("monitor", MODEL, camera, "--window", 10, code=1).stderr


def test_a_killed_command_goes_on(expected, pretrained, tmp_path):
    """Killed in the midst of a stream, the same command ends as one that is not; lines may come twice, and none is lost."""
    command = [sys.executable, "-m", "keras_ood.cli", "monitor", MODEL, "-", "--state", str(tmp_path / "state")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        found = []
        for record in expected[:30]:
            process.stdin.write(f"{record.score!r}\n".encode())
            process.stdin.flush()
            found.append(json.loads(process.stdout.readline()))
        os.kill(process.pid, signal.SIGKILL)
    seen = keras_ood.Monitor(pretrained, state=tmp_path / "state").images
    assert 29 <= seen <= 30
    text = "".join(f"{record.score!r}\n" for record in expected[seen:])
    result = CliRunner().invoke(app, command[3:], input=text)
    same(found[:seen] + lines(result.stdout), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "SOURCE is a folder of images"),
        (["-", "--follow"], "`--follow` waits for files of a folder. Received: -"),
        (["empty"], "No alarm in 0 images"),
        (["no-scores.csv"], "has a column `score`"),
        (["words.csv"], "A score is a number. Received: 'many' of a"),
        (["broken.jsonl"], "A line in JSON has its score"),
        (["list.jsonl"], "A line in JSON has its score"),
        (["deep.jsonl"], "A line in JSON has its score"),
        (["long.csv"], "Expected a table of scores in CSV. Received: long.csv"),
        (["empty", "--window", 5, "--every", 2], "--window with --every"),
        (["empty", "--alpha", 1.5], "Received: 1.5"),
        (["empty", "--plot", "no/folder/plot.png"], "whose folder must exist"),
    ],
)
def test_errors(arguments, message, tmp_path, monkeypatch):
    """One line that says what is accepted; a folder without images is none yet."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "no-scores.csv").write_text("path,p_value\na,1\n")
    (tmp_path / "words.csv").write_text("path,score\na,many\n")
    (tmp_path / "broken.jsonl").write_text('{"path": "a"}\n')
    (tmp_path / "list.jsonl").write_text('{"score": [1]}\n')
    (tmp_path / "deep.jsonl").write_text('{"score": ' + "[" * 100_000)
    (tmp_path / "long.csv").write_text(f"path,score\n{'a' * 200_000},1\n")
    assert message in run("monitor", MODEL, *arguments, code=0 if message.startswith("No alarm") else 1).stderr
