"""The speed benchmark's arithmetic, on a clock that we wind; what it measures has no place in a test."""

import time
from pathlib import Path

import numpy as np
import pytest

from keras_ood.attention import mmd
from keras_ood.benchmark import speed
from keras_ood.benchmark.speed import accelerator, costly, encoders, passes, process
from keras_ood.benchmark.speed.comparison import Comparison, compare
from keras_ood.models import TiltedVAE

pytestmark = pytest.mark.once

KEPT = Path(__file__).parents[2] / "benchmark" / "speed-tensorflow.json"


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still but for what is added to its one number."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_a_ratio_is_the_median_over_rounds_in_turn(clock):
    """The first round is not counted, one slow round does not matter, and both ways are timed in every round."""
    order = []

    def work(name, seconds):
        seconds = iter(seconds)

        def step():
            order.append(name)
            clock[0] += next(seconds)

        return step

    ours, theirs = work("ours", [90, 1, 1, 50]), work("theirs", [1, 4, 4, 4])
    found = compare("x", (ours, 10), (theirs, 20), rounds=3, allowance=2.0)
    assert order == ["ours", "theirs"] * 4
    assert (found.ours, found.theirs, found.ratio, found.allowance) == (10, 5, 2, 2)


LOSSES = [(2.0, False, False), (1.4, False, False), (1.3, False, True), (2.9, True, False), (3.1, True, True)]


@pytest.mark.parametrize(("ratio", "lower_is_better", "lost"), LOSSES)
def test_a_ratio_is_lost_beyond_the_allowance(ratio, lower_is_better, lost):
    """Kept 2: lost below 2 / 1.5 where more is better, above 2 * 1.5 where less is."""
    kept, now = (Comparison("x", value, 1, 1, "s", None, lower_is_better) for value in (2.0, ratio))
    assert speed.lost([now, Comparison("new", 0.1, 1, 1, "s")], [kept]) == (["x"] if lost else [])


def test_rows_are_kept_with_the_machine(tmp_path):
    """What `write` keeps `read` gives back; the table has a line for each comparison and names the machine."""
    rows = [Comparison("score: predict", 1.25, 10, 8, "images/s", 1.0), Comparison("start", 1.4, 7, 5, "s", 1.5, True)]
    machine, found = speed.read(speed.write(tmp_path, rows))
    assert found == rows
    table = speed.table(tmp_path)
    assert "| score: predict | 1.25 |" in table
    assert machine in table


def test_the_roofline_counts_the_networks_arithmetic():
    """The paper's networks take 174 MFLOP an image (its layers, counted by hand); an unknown device has no roofline."""
    detector = TiltedVAE((32, 32, 1), latent_dim=10, tilt=15.0, architecture="paper")
    convolutions = 1024 * 25 * 32 + 256 * 25 * 32 * 32 + 256 * 25 * 32 * 64 + 64 * 25 * 64 * 64 + 4 * 49 * 64 * 20
    transposed = 64 * 10 * 64 + 64 * 25 * 64 * 64 * 2 + 256 * 25 * 64 * 32 + 256 * 25 * 32 * 32 + 1024 * 25 * 32 * 32
    expected = 2 * (convolutions + 80 * 10 + transposed + 1024 * 25 * 32)
    assert accelerator._cost(detector)[0] == expected
    numbers = accelerator._cost(detector)[1]
    memory = 4.8e12 / (2 * numbers * 4)
    assert memory < 494e12 / expected  # in single precision the outputs of the layers are the narrower limit
    assert accelerator.roofline(detector, "NVIDIA H200", "float32") == pytest.approx(memory)
    assert accelerator.roofline(detector, "NVIDIA H200", "mixed_bfloat16") == pytest.approx(2 * memory)
    assert accelerator.roofline(detector, "some other device", "float32") is None


def test_the_loop_over_permutations_is_the_same_test():
    """The loop that `mmd_test` is compared with gives statistics of the same law: equal means within their error."""
    generator = np.random.default_rng(0)
    x, reference = generator.standard_normal((20, 3)), generator.standard_normal((60, 3))
    kernel = mmd.MMDTest(reference).pooled_kernel(x)
    looped = costly._loop(kernel, 20, 400)
    labels = np.zeros((400, 80))
    for row in labels:
        row[generator.permutation(80)[:20]] = 1
    ours = mmd._statistics(kernel, labels, 20)
    assert abs(np.mean(looped) - np.mean(ours)) < 4 * np.std(ours) / np.sqrt(200)
    np.testing.assert_allclose(np.std(looped), np.std(ours), rtol=0.2)


def test_rivals_have_their_rows(monkeypatch):
    """Each kept row of scoring and training is measured against the function of the same name; without rivals, Keras' alone."""
    timed = {}

    def compared(name, ours, theirs, **_):
        timed[name] = theirs[0]
        return Comparison(name, 1, 1, 1, "images/s")

    def scorer(architecture, images, channels_last, device, precision):
        return ("score", architecture, images.shape, images.dtype, channels_last, device, precision)

    def embedder(images, device, precision):
        return ("embed", images.shape, images.dtype, device, precision)

    def trainer(architecture, images, channels_last):
        return ("training", architecture, images.shape, images.dtype, channels_last)

    for module in (passes, encoders):
        monkeypatch.setattr(module, "compare", compared)
    keras_alone = [row.name for row in passes.comparisons()]
    assert keras_alone == ["score, paper: bare Keras predict", "score, small: bare Keras predict"]
    rivals = speed.Rivals("PyTorch", scorer, embedder, trainer, has_gpu=False)
    names = [row.name for module in (passes, encoders) for row in module.comparisons(rivals)]
    assert names == [row.name for row in speed.read(KEPT)[1] if row.name.startswith(("score", "training", "embed"))]
    batch = (passes.BATCH, 32, 32, 1)
    assert timed["score, small: PyTorch, paper, channels last"] == ("score", "paper", batch, np.uint8, True, "cpu", "float32")
    assert timed["score, small: PyTorch, small, channels last"] == ("score", "small", batch, np.uint8, True, "cpu", "float32")
    assert timed["score, paper, bfloat16: PyTorch, paper, channels last, bfloat16"][1:] == (
        "paper",
        batch,
        np.uint8,
        True,
        "cpu",
        "bfloat16",
    )
    photos = (encoders.BATCH, 96, 96, 3)
    assert timed["embed, EfficientNet-Lite0, 96 pixels, bfloat16: eager PyTorch, channels last"] == (
        "embed",
        photos,
        np.uint8,
        "cpu",
        "bfloat16",
    )
    assert timed["training, paper: PyTorch"] == ("training", "paper", batch, np.float32, False)


def test_start_up_is_compared_in_every_round(monkeypatch):
    """One process that scores meets one of each import; the first round is not counted, the median of the others is told."""
    seconds = iter([90, 1, 1, 6, 4, 2, 6, 3, 3, 8, 4, 2])
    started = []
    monkeypatch.setattr(process, "_seconds", lambda command: started.append(command[-1]) or next(seconds))
    rows = list(process._start_up("one image scored", ["score"], {"tensorflow": 1.5, "keras": None}))
    assert started == ["score", "import tensorflow", "import keras"] * 4
    assert [(row.name, row.ratio, row.ours, row.theirs, row.goal) for row in rows] == [
        ("one image scored: import tensorflow", 2.0, 6, 4, 1.5),
        ("one image scored: import keras", 3.0, 6, 2, None),
    ]
    assert all(row.lower_is_better for row in rows)
