"""Progress on standard error: of images and of epochs."""

import io
import sys

import keras
import numpy as np
import pytest

from keras_ood.callbacks import progress
from keras_ood.callbacks.progress import TrainingProgress
from keras_ood.terminal.progress import track_images


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.mark.once
@pytest.mark.parametrize("total", [40, None])
def test_images_have_a_rate(total, images, capsys):
    """The bar names images done and their rate, whether or not their number is known beforehand."""
    batches = (images[start : start + 8] for start in range(0, 40, 8))
    assert sum(map(len, track_images(batches, total, True))) == 40
    shown = capsys.readouterr().err
    assert f"40/{total or '?'} images, " in shown
    assert "/s" in shown


@pytest.mark.parametrize("terminal", [False, True])
def test_epochs_are_shown(terminal, fresh, images, capsys, monkeypatch):
    """A line an epoch with its loss, one line drawn again on a terminal; standard output stays clean."""
    if terminal:
        monkeypatch.setattr(sys, "stderr", Terminal())
    detector = fresh()
    detector.compile("adam")
    prepared = keras.ops.convert_to_numpy(detector.preprocessing(images))
    history = detector.fit(prepared, epochs=3, verbose=0, callbacks=[TrainingProgress("digits, seed 0")]).history
    shown = sys.stderr.getvalue() if terminal else capsys.readouterr().err
    lines = shown.removesuffix("\n").replace("\x1b[K", "").split("\r")[1:] if terminal else shown.splitlines()
    for epoch in (1, 2, 3):
        start, loss = f"digits, seed 0: {epoch} of 3 epochs, ", f", loss {history['loss'][epoch - 1]:.4g}"
        assert any(line.startswith(start) and line.endswith(loss) for line in lines)
    assert len(lines) == 3 or terminal
    assert "0:00:00 left" in lines[-1]
    assert shown.endswith("\n")
    assert capsys.readouterr().out == ""


@pytest.mark.once
def test_a_training_that_goes_on_tells_its_own_rate(capsys, monkeypatch):
    """Epochs of an earlier run count as done, not towards the rate."""
    clock = iter([100.0, 110.0, 120.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    progress = TrainingProgress()
    progress.set_params({"epochs": 5, "steps": 1})
    progress.on_train_begin()
    for epoch in (2, 3):
        progress.on_epoch_begin(epoch)
        progress.on_epoch_end(epoch, {"loss": np.float32(2)})
    progress.on_train_end()
    assert capsys.readouterr().err.splitlines() == [
        "3 of 5 epochs, 10.0 s each, 0:00:20 left, loss 2",
        "4 of 5 epochs, 10.0 s each, 0:00:10 left, loss 2",
    ]
