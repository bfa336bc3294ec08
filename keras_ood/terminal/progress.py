"""Progress of work on many images: on standard error, and told to whoever listens."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Report = Callable[[str, int, int | None], None]
"""Told what is being done, how many images are done, and of how many; None where that is unknown."""

_PATIENCE = 1.0  # seconds of work before a bar appears


def _nobody(stage: str, done: int, total: int | None) -> None:
    pass


_listener: ContextVar[Report] = ContextVar("listener", default=_nobody)
_stage: ContextVar[str] = ContextVar("stage", default="")


@contextmanager
def listening(report: Report) -> Iterator[None]:
    """Have what is done meanwhile, in this thread, reported to a function, stages of it and images."""
    listener, stage = _listener.set(report), _stage.set("")
    try:
        yield
    finally:
        _listener.reset(listener)
        _stage.reset(stage)


def begin(stage: str) -> None:
    """Tell who listens what is done from here on."""
    _stage.set(stage)
    _listener.get()(stage, 0, None)


def track_images(batches: Iterable[np.ndarray], total: int | None, progress: bool | None) -> Iterator[np.ndarray]:
    """Yield the batches and show how many images are done, at what rate, and the time left; tell who listens, too.

    Args:
        batches: Arrays whose first axis counts images.
        total: Number of images, None where unknown.
        progress: True for a bar that stays, False for none; None for one that goes away, on a terminal only and once the work
            has taken a second.
    """
    batches = _told(batches, total)
    if progress is False or (progress is None and not sys.stderr.isatty()):
        yield from batches
        return
    bar = Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("images{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=not progress,
        redirect_stdout=False,  # rows may go there meanwhile
    )
    task = bar.add_task("", total=total, rate="")
    start = time.monotonic()
    try:
        for batch in batches:
            yield batch
            if progress or time.monotonic() - start > _PATIENCE:
                bar.start()
            bar.advance(task, len(batch))
            bar.update(task, rate=rate(bar.tasks[0].speed))
    finally:
        bar.stop()


def _told(batches: Iterable[np.ndarray], total: int | None) -> Iterator[np.ndarray]:
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        _listener.get()(_stage.get(), done, total)


def rate(speed: float | None) -> str:
    """Return items a second as text, seconds an item where that is more than one; nothing while unknown.

    >>> rate(1234.5), rate(2.5), rate(0.25), rate(None)
    (', 1,234/s', ', 2.5/s', ', 4.0 s each', '')
    """
    if not speed:
        return ""
    return f", {speed:,.{0 if speed >= 10 else 1}f}/s" if speed >= 1 else f", {1 / speed:.1f} s each"
