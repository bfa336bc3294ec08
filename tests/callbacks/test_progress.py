"""Epochs on standard error."""

import io
import re
import sys

import keras
import numpy as np
import pytest

from keras_ood.callbacks import progress
from keras_ood.callbacks.progress import TrainingProgress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def open_terminal(monkeypatch):
    """Make standard error a terminal of 100 columns, in the test itself: pytest sets it anew before each."""
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", Terminal())
    return sys.stderr


def lines_of(terminal):
    """What a terminal has shown, drawing after drawing, without the codes that move its cursor."""
    shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", terminal.getvalue())
    return [line.rstrip() for line in re.split(r"[\r\n]+", shown) if line.strip()]


@pytest.mark.parametrize("where", ["terminal", "file"])
def test_epochs_are_shown(where, fresh, images, capsys, monkeypatch):
    """A line an epoch with its loss, one line drawn again on a terminal; standard output stays clean."""
    terminal = open_terminal(monkeypatch) if where == "terminal" else None
    detector = fresh()
    detector.compile("adam")
    prepared = keras.ops.convert_to_numpy(detector.preprocessing(images))
    history = detector.fit(prepared, batch_size=20, epochs=3, verbose=0, callbacks=[TrainingProgress("digits, seed 0")]).history
    output = capsys.readouterr()
    lines = lines_of(terminal) if terminal else output.err.splitlines()
    for epoch in (1, 2, 3):
        start, loss = f"digits, seed 0: {epoch} of 3 epochs, ", f", loss {history['loss'][epoch - 1]:.4g}"
        assert any(line.startswith(start) and line.endswith(loss) for line in lines)
    assert "0:00:00 left" in lines[-1]
    if terminal:
        assert terminal.getvalue().endswith("\x1b[?25h")
        assert terminal.getvalue().count("\n") == 1
    else:
        assert len(lines) == 3
    assert output.out == ""


@pytest.mark.once
def test_a_line_is_cut_where_the_terminal_ends(monkeypatch):
    """Whatever the title is, the line is one line, and no markup is read in it."""
    terminal = open_terminal(monkeypatch)
    shown = TrainingProgress("[red]" + 30 * "digits ")
    shown.set_params({"epochs": 5, "steps": 1})
    shown.on_train_begin()
    shown.on_epoch_begin(0)
    shown.on_epoch_end(0, {"loss": np.float32(2)})
    shown.on_train_end()
    assert {len(line) for line in lines_of(terminal)} == {100}
    assert lines_of(terminal)[0].startswith("[red]digits")


@pytest.mark.once
def test_a_training_that_fails_gives_the_terminal_back(monkeypatch):
    """The cursor is shown again when the callback goes."""
    terminal = open_terminal(monkeypatch)
    shown = TrainingProgress()
    shown.on_train_begin()
    assert "\x1b[?25l" in terminal.getvalue()
    del shown
    assert terminal.getvalue().endswith("\x1b[?25h")
    assert sys.stderr is terminal


@pytest.mark.once
def test_a_training_that_goes_on_tells_its_own_rate(capsys, monkeypatch):
    """Epochs of an earlier run count as done, not towards the rate."""
    clock = iter([100.0, 110.0, 120.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    shown = TrainingProgress()
    shown.set_params({"epochs": 5, "steps": 1})
    shown.on_train_begin()
    for epoch in (2, 3):
        shown.on_epoch_begin(epoch)
        shown.on_epoch_end(epoch, {"loss": np.float32(2)})
    shown.on_train_end()
    assert capsys.readouterr().err.splitlines() == [
        "3 of 5 epochs, 10.0 s each, 0:00:20 left, loss 2",
        "4 of 5 epochs, 10.0 s each, 0:00:10 left, loss 2",
    ]
