"""The monitor: what it says of each image, its alarm, and a state that outlives its process."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import keras_ood
from keras_ood.calibration.conformal import Calibration
from keras_ood.monitoring.state import FILE


@pytest.fixture
def calibration():
    return Calibration(np.random.default_rng(0).normal(size=300))


@pytest.fixture
def changing():
    """Scores of 200 usual images, then of 30 odd ones."""
    return np.random.default_rng(1).normal(np.repeat([0, 3], [200, 30])).astype(np.float32)


def test_images_of_a_detector(pretrained, digits):
    """Scores and p-values are the detector's; negatives raise the alarm, and the change is found."""
    images = np.concatenate([digits[1][:100], 255 - digits[1][100:120]])
    monitor = keras_ood.Monitor(pretrained)
    records = monitor.update(images[:70], progress=False) + monitor.update(images[70:], batch_size=32)
    np.testing.assert_array_equal([record.index for record in records], np.arange(120))
    np.testing.assert_allclose([record.score for record in records], pretrained.score(images), rtol=1e-5)
    np.testing.assert_array_equal([record.p_value for record in records], pretrained.p_values(images))
    np.testing.assert_array_equal([record.ood for record in records], pretrained.detect(images))
    assert 100 < monitor.alarm < 112
    assert 98 <= monitor.change <= 102
    assert [record.alarm for record in records] == [index >= monitor.alarm for index in range(120)]
    assert monitor.log10_martingale == records[-1].log10_martingale > 2


@pytest.mark.once
def test_batches_do_not_matter(calibration, changing):
    """One by one, or all at once."""
    together = keras_ood.Monitor(calibration).update_scores(changing)
    one_by_one = keras_ood.Monitor(calibration)
    assert [record for score in changing for record in one_by_one.update_scores(score)] == together


@pytest.mark.once
def test_a_lower_score_is_a_change_too(calibration):
    """A covered camera, whose images are too usual, and a frozen one, whose score is in the middle."""
    for frozen in (-3.0, 0.0):
        monitor = keras_ood.Monitor(calibration)
        monitor.update_scores(np.random.default_rng(1).normal(size=100))
        monitor.update_scores(np.full(100, frozen))
        assert monitor.alarm < 150


@pytest.mark.once
def test_a_reset_starts_anew(calibration, changing):
    """The alarm stays until then; afterwards the calibration alone is known, and indices go on."""
    monitor = keras_ood.Monitor(calibration, every=2)
    monitor.update_scores(changing)
    alarm = monitor.alarm
    monitor.update_scores(np.zeros(10))
    assert monitor.alarm == alarm
    monitor.reset()
    assert (monitor.alarm, monitor.change, monitor.log10_martingale, monitor.images) == (None, None, 0, 240)
    fresh = keras_ood.Monitor(calibration, every=2)
    for each in (monitor, fresh):
        each._generator = np.random.default_rng(0)
        each.update_scores(changing)
    assert (monitor.alarm, monitor.change) == (fresh.alarm + 240, fresh.change + 240)


@pytest.mark.once
def test_thinned_frames_are_scored_and_not_bet_on(calibration, changing):
    """With `every`, the martingale is that of every so-manyth score, and indices are those of the stream."""
    thinned = keras_ood.Monitor(calibration, every=3)
    records = thinned.update_scores(np.repeat(changing, 3))
    whole = keras_ood.Monitor(calibration)
    assert [record.log10_martingale for record in records[::3]] == [
        record.log10_martingale for record in whole.update_scores(changing)
    ]
    assert len(records) == 3 * len(changing)
    assert (thinned.alarm, thinned.change) == (3 * whole.alarm, 3 * whole.change)


PROGRAM = """
import sys, numpy as np, keras_ood
from keras_ood.calibration.conformal import Calibration
scores = np.load(sys.argv[1])
monitor = keras_ood.Monitor(Calibration(np.load(sys.argv[2])), state=sys.argv[3], capacity=310)
for score in scores[monitor.images:]:
    monitor.update_scores(score)
    print(monitor.images, flush=True)
"""


@pytest.mark.once
def test_the_state_survives_a_kill(calibration, changing, tmp_path):
    """A process that is killed twice at any moment, and goes on, says what one says that is not: full pool, ties and all."""
    expected = keras_ood.Monitor(calibration, capacity=310)
    records = expected.update_scores(changing)
    np.save(tmp_path / "scores.npy", changing)
    np.save(tmp_path / "calibration.npy", calibration.scores)
    arguments = [tmp_path / "scores.npy", tmp_path / "calibration.npy", tmp_path / "state"]
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        while int(process.stdout.readline()) < 150:
            pass
        os.kill(process.pid, signal.SIGKILL)
    (tmp_path / "state" / f"{FILE}.unfinished").write_bytes(b"half a state")
    resumed = keras_ood.Monitor(calibration, state=tmp_path / "state", capacity=310)
    assert 150 <= resumed.images < len(changing)
    seen = resumed.images
    assert resumed.update_scores(changing[seen:]) == records[seen:]
    again = keras_ood.Monitor(calibration, state=tmp_path / "state", capacity=310)
    assert (again.images, again.alarm, again.change) == (len(changing), expected.alarm, expected.change)
    assert again.log10_martingale == expected.log10_martingale
    assert again.update_scores(np.zeros(20)) == expected.update_scores(np.zeros(20))


@pytest.mark.once
def test_a_state_of_another_monitor_is_refused(calibration, changing, tmp_path):
    """Of another calibration, alpha or thinning, and what is no state; position and alarm are kept."""
    first = keras_ood.Monitor(calibration, state=tmp_path)
    first.position = {"source": "a", "at": 3}
    first.update_scores(changing)
    assert keras_ood.Monitor(calibration, state=tmp_path).position == {"source": "a", "at": 3}
    other = Calibration(np.arange(30))
    for settings in ({"alpha": 0.05}, {"every": 2}, {"detector": other}):
        with pytest.raises(ValueError, match="another takes another folder") as error:
            keras_ood.Monitor(**{"detector": calibration, "state": tmp_path} | settings)
        assert json.loads(str(error.value).split(" with ")[-1])["alpha"] == 0.01
    first.reset()
    assert keras_ood.Monitor(calibration, state=tmp_path).alarm is None
    for content in (b"", b"no state", b"PK\x03\x04 no archive"):
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises(ValueError, match="Expected the state of a monitor"):
            keras_ood.Monitor(calibration, state=tmp_path)


@pytest.mark.once
def test_without_autosave_the_caller_saves(calibration, changing, tmp_path):
    """Nothing is written before `save`."""
    monitor = keras_ood.Monitor(calibration, state=tmp_path, autosave=False)
    monitor.update_scores(changing)
    assert not list(tmp_path.iterdir())
    monitor.save()
    assert keras_ood.Monitor(calibration, state=tmp_path).images == len(changing)


@pytest.mark.once
def test_errors(calibration, fresh):
    """What is out of range, not finite, or no image for a monitor of scores."""
    for settings, received in (
        ({"alpha": 0}, "0"),
        ({"alpha": "x"}, "'x'"),
        ({"every": 0}, "0"),
        ({"every": 1.5}, r"1\.5"),
        ({"fpr": 0.001}, r"fpr=0\.001"),
    ):
        with pytest.raises(ValueError, match=f"Received: {received}"):
            keras_ood.Monitor(calibration, **settings)
    with pytest.raises(ValueError, match="Received: ndarray"):
        keras_ood.Monitor(calibration).update(np.zeros((1, 8, 8, 1), np.uint8))
    with pytest.raises(ValueError, match=r"Received: 1 of 2 not finite"):
        keras_ood.Monitor(calibration).update_scores([1, np.nan])
    with pytest.raises(keras_ood.NotCalibratedError):
        keras_ood.Monitor(fresh())
