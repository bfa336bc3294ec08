"""Scoring with Ray Data on a cluster of two nodes: what is killed is done again, nothing is lost, nothing twice."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet
from sklearn.datasets import load_sample_image
from typer.testing import CliRunner

import keras_ood
from keras_ood.cli import main

ray = pytest.importorskip("ray", reason="needs the extra `ray`")
engine = pytest.importorskip("keras_ood.ray")

pytestmark = [pytest.mark.once, pytest.mark.slow]

PRESET, OVER_ENCODER = "tilted-vae-digits", "tilted-vae-cifar10"
BLOCKS, COUNT = 20, 200


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Image files of three sizes, grey and RGB."""
    folder = tmp_path_factory.mktemp("images")
    images, _ = keras_ood.datasets.load("digits", "test")
    photo = Image.fromarray(load_sample_image("china.jpg"))
    for number in range(COUNT):
        image = Image.fromarray(images[number % len(images)][..., 0])
        (image if number % 7 else image.resize((20, 16))).save(folder / f"{number:04}.png")
    for number in range(25, COUNT, 50):
        photo.save(folder / f"{number:04}.png")
    return folder


@pytest.fixture(scope="module")
def expected(folder):
    """`{path: (score, p-value)}` of one process."""
    return scored_here(folder, PRESET)


def scored_here(folder, handle):
    files = keras_ood.images.ImageFiles(folder)
    found = keras_ood.from_pretrained(handle).iterate_p_values(files, progress=False)
    scores, p_values = map(np.concatenate, zip(*found, strict=True))
    return dict(zip(map(str, files.paths), zip(scores, p_values, strict=True), strict=True))


def check_table(out, expected):
    """Every image once, its score and its p-value those of one process."""
    table = parquet.read_table(out).to_pydict()
    assert sorted(table["path"]) == sorted(expected)
    scores, p_values = zip(*map(expected.__getitem__, table["path"]), strict=True)
    np.testing.assert_allclose(table["score"], scores, rtol=1e-4)
    np.testing.assert_allclose(table["p_value"], p_values, atol=0.01)  # a rank may differ where the scores do
    assert table["ood"] == [p_value <= 0.05 for p_value in table["p_value"]]
    assert len(set(table["score"])) > COUNT / 2


def when_a_block_is_written(out, action):
    """Call `action` in a thread as soon as `out` holds a file of scores."""

    def wait():
        while not list(out.glob("*.parquet")):
            time.sleep(0.05)
        done.append(action())

    done: list[object] = []
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread, done


def kill_a_scorer():
    """Kill one actor that scores, as the kernel does when memory runs out, and return its process id."""
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            running = b"MapWorker" in status.read_bytes() and b"Scorer" in status.read_bytes()
        except OSError:
            continue
        if running:
            os.kill(int(status.parent.name), signal.SIGKILL)
            return int(status.parent.name)
    return None


def test_a_killed_worker_and_a_lost_node_cost_only_their_blocks(cluster, folder, tmp_path):
    """A worker that embeds is killed in the middle, and a node goes away with all it held: their blocks are done again."""
    node = cluster.add_node(num_cpus=1, object_store_memory=100 << 20)

    def strike():
        killed = kill_a_scorer()
        cluster.remove_node(node, allow_graceful=False)
        return killed

    thread, struck = when_a_block_is_written(tmp_path, strike)
    engine.score_files(str(folder), OVER_ENCODER, str(tmp_path), blocks=BLOCKS, batch_size=16, actors=2)
    thread.join(30)
    assert struck
    assert struck[0]
    check_table(tmp_path, scored_here(folder, OVER_ENCODER))


def test_a_restart_skips_what_is_finished(cluster, folder, expected, tmp_path):
    """A run whose process is killed in the middle goes on: what it finished stays as it is; other settings are refused."""
    options = {"blocks": BLOCKS, "batch_size": 16, "actors": 1}
    lines = [
        "import ray, keras_ood.ray",
        f"ray.init({cluster.address!r})",
        f"keras_ood.ray.score_files(*{[str(folder), PRESET, str(tmp_path)]}, **{options})",
    ]
    process = subprocess.Popen([sys.executable, "-c", "\n".join(lines)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    thread, _ = when_a_block_is_written(tmp_path, process.kill)
    assert process.wait(timeout=300) == -signal.SIGKILL
    thread.join(5)
    finished = {file.name: file.read_bytes() for file in tmp_path.glob("*.parquet")}
    assert 0 < len(parquet.read_table(tmp_path)) < COUNT
    committed = {file.stem for file in (tmp_path / engine.CHECKPOINT).glob("*.parquet")}
    engine.score_files(str(folder), PRESET, str(tmp_path), blocks=BLOCKS, batch_size=32, actors=1)  # speed may change
    kept = [name for name in finished if name.rsplit("-", 1)[0] in committed]
    assert kept
    assert all((tmp_path / name).read_bytes() == finished[name] for name in kept)
    check_table(tmp_path, expected)
    with pytest.raises(ValueError, match="other settings"):
        engine.score_files(str(folder), PRESET, str(tmp_path), method="nll")


def test_a_dataset_keeps_its_columns(cluster, expected):
    """Images of any sizes in a column, other columns beside them; a row without image has no score."""
    paths = sorted(expected)[:20]
    rows = [{"key": path, "picture": np.asarray(Image.open(path))[..., None]} for path in paths]
    rows += [{"key": "none", "picture": np.zeros((0, 0, 1), np.uint8)}]
    scored = engine.score_dataset(ray.data.from_items(rows), PRESET, column="picture", actors=1).take_all()
    assert {row["key"] for row in scored} == {row["key"] for row in rows}
    assert all(set(row) == {"key", "score", "p_value", "ood"} for row in scored)
    scores = {row["key"]: row["score"] for row in scored}
    assert np.isnan(scores.pop("none"))
    np.testing.assert_allclose([scores[path] for path in paths], [expected[path][0] for path in paths], rtol=1e-4)


def test_the_command_scores_with_ray(cluster, folder, expected, tmp_path):
    """`keras-ood score --engine ray`: a broken file has a row that says why."""
    source = tmp_path / "images"
    source.mkdir()
    for number in range(5):
        (source / f"{number}.png").write_bytes((folder / f"{number:04}.png").read_bytes())
    (source / "broken.png").write_bytes(b"no image")
    Image.fromarray(np.asarray(Image.open(folder / "0000.png")).astype(np.uint16) * 16).save(source / "deep.tiff")
    for name in (".git/x.png", "a/._x.png", "a/__MACOSX/x.png"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(b"hidden")
    options = ["--engine", "ray", "--out", str(tmp_path / "scores"), "--unreadable", "skip", "--value-range", "0", "4080"]
    result = CliRunner().invoke(main.app, ["score", PRESET, str(source), *options])
    assert result.exit_code == 0, result.output
    table = parquet.read_table(tmp_path / "scores").to_pylist()
    rows = {Path(row["path"]).name: row for row in table}
    assert len(rows) == len(table) == 7
    np.testing.assert_allclose(rows["deep.tiff"]["score"], rows["0.png"]["score"], rtol=1e-4)
    assert "; 1 unreadable skipped." in result.stderr
    assert "cannot identify" in rows["broken.png"]["error"]
    assert np.isnan(rows["broken.png"]["score"])
    assert rows["0.png"]["error"] == ""


def test_an_error_of_a_worker_is_one_line(cluster, folder, tmp_path):
    """A file that cannot be decoded is named, without the workers' tracebacks."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "broken.png").write_bytes(b"no image")
    options = ["--engine", "ray", "--out", str(tmp_path / "scores")]
    result = CliRunner().invoke(main.app, ["score", PRESET, str(tmp_path / "images"), *options])
    assert result.exit_code == 1
    assert "broken.png" in result.output
    assert "--unreadable skip" in result.output
    assert "Traceback" not in result.output
    with pytest.raises(ValueError, match="Received: 'all'"):
        engine.score_files(str(folder), PRESET, str(tmp_path), decoding=keras_ood.images.Decoding(frames="all"))
