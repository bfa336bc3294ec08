"""Ctrl-C and kills in the middle of writing."""

import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from keras_ood.backup import Backup
from keras_ood.interrupts import held_back
from keras_ood.models import TiltedVAE


@pytest.fixture(autouse=True)
def _default_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell has it ignored
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.once
def test_an_interrupt_waits():
    """The block is done to its end, then the interrupt comes; without one nothing does."""
    done = []

    @held_back()
    def write():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("written")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert done == ["written"]
    with held_back():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def train(detector, images, folder, epochs=3):
    """Train with a backup and return the epochs done now."""
    detector.compile("adam")
    prepared = keras.ops.convert_to_numpy(detector.preprocessing(images))
    return detector.fit(prepared, epochs=epochs, verbose=0, callbacks=[Backup(folder)]).epoch


def test_an_interrupted_backup_is_whole(fresh, images, tmp_path, monkeypatch):
    """Ctrl-C while the state is written: the training goes on after that epoch."""
    save = TiltedVAE.save_weights

    def interrupted(self, *arguments, **options):
        os.kill(os.getpid(), signal.SIGINT)
        save(self, *arguments, **options)

    monkeypatch.setattr(TiltedVAE, "save_weights", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), images, tmp_path / "backup")
    monkeypatch.undo()
    assert train(fresh(), images, tmp_path / "backup") == [1, 2]


def test_a_cut_backup_is_passed_over(fresh, images, tmp_path):
    """A state that a kill left half written gives way to the one before."""

    class Killed(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise ArithmeticError("killed")

    detector = fresh()
    detector.compile("adam")
    prepared = keras.ops.convert_to_numpy(detector.preprocessing(images))
    with pytest.raises(ArithmeticError):
        detector.fit(prepared, epochs=3, verbose=0, callbacks=[Backup(tmp_path / "backup"), Killed()])
    weights = tmp_path / "backup" / "latest.weights.h5"
    weights.write_bytes(weights.read_bytes()[:2000])
    resumed = fresh()
    assert train(resumed, images, tmp_path / "backup") == [1, 2]
    assert np.all(np.isfinite(resumed.score(images, "nll")))


@pytest.mark.once
def test_ctrl_c_keeps_the_rows(tmp_path):
    """Interrupted while it scores: exit code 130, whole rows on disk, and their number is where to go on."""
    images = np.lib.format.open_memmap(tmp_path / "images.npy", "w+", np.uint8, (2_000_000, 8, 8, 1))  # sparse
    del images
    out = tmp_path / "scores.csv"
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background shell ignores it
        "from keras_ood.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "score", "tilted-vae-digits", str(tmp_path / "images.npy"), "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not (out.exists() and out.stat().st_size):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        stderr = process.communicate()[1]
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    header, *rows = out.read_text().splitlines()
    assert header == "path,score,p_value,ood"
    assert [row.split(",")[0].rpartition("[")[2] for row in rows] == [f"{index}]" for index in range(len(rows))]
    assert all(row.count(",") == 3 and row.endswith(("True", "False")) for row in rows)
    assert f"Stopped. {len(rows):,} images are done" in stderr
    assert f"--start {len(rows)} and another --out" in stderr
