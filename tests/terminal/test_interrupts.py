"""Ctrl-C and kills in the middle of writing."""

import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from keras_ood.callbacks.checkpoints import Checkpoints
from keras_ood.models import TiltedVAE
from keras_ood.terminal.interrupts import hold_interrupts


@pytest.fixture(autouse=True)
def _default_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell has it ignored
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.once
def test_an_interrupt_waits():
    """The block is done to its end, then the interrupt comes; without one nothing does."""
    done = []

    @hold_interrupts()
    def write():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("written")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert done == ["written"]
    with hold_interrupts():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def train(detector, images, folder, epochs=3):
    """Train with states on disk and return the epochs done now."""
    detector.compile("adam")
    prepared = keras.ops.convert_to_numpy(detector.preprocessing(images))
    states = Checkpoints(folder)
    begun = states.restore(detector)
    return detector.fit(prepared, batch_size=20, initial_epoch=begun, epochs=epochs, verbose=0, callbacks=[states]).epoch


def test_an_interrupted_state_is_whole(fresh, images, tmp_path, monkeypatch):
    """Ctrl-C while the state is written: the training goes on after that epoch, with optimizer and weights as they were."""
    save = TiltedVAE.save_weights

    def interrupted(self, *arguments, **options):
        os.kill(os.getpid(), signal.SIGINT)
        save(self, *arguments, **options)

    detector = fresh()
    with monkeypatch.context() as patch:
        patch.setattr(TiltedVAE, "save_weights", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(detector, images, tmp_path / "states")
    resumed = fresh()
    resumed.compile("adam")
    assert Checkpoints(tmp_path / "states").restore(resumed) == 1
    for one, other in zip(resumed.optimizer.variables, detector.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    np.testing.assert_array_equal(resumed.decoder.get_weights()[0], detector.decoder.get_weights()[0])
    assert train(fresh(), images, tmp_path / "states") == [1, 2]
    assert [path.name for path in (tmp_path / "states").iterdir()] == ["epoch-000003"]


@pytest.mark.once
def test_ctrl_c_keeps_the_rows(tmp_path):
    """Interrupted while it scores: exit code 130, whole rows on disk, and their number is where to go on."""
    images = np.lib.format.open_memmap(tmp_path / "images.npy", "w+", np.uint8, (2_000_000, 8, 8, 1))  # sparse
    del images
    out = tmp_path / "scores.csv"
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background shell ignores it
        "from keras_ood.cli.main import main; main()"
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
