"""Progress on standard error for work on many images."""

import sys
import time
from collections.abc import Iterable, Iterator

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_PATIENCE = 1.0  # seconds of work before a bar appears


def track_images(batches: Iterable[np.ndarray], total: int | None, progress: bool | None) -> Iterator[np.ndarray]:
    """Yield the batches and show how many images are done, at what rate, and the time left.

    Args:
        batches: Arrays whose first axis counts images.
        total: Number of images, None where unknown.
        progress: True for a bar that stays, False for none; None for one that goes away, on a terminal only and once the work
            has taken a second.
    """
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


def rate(speed: float | None) -> str:
    """Return items a second as text, seconds an item where that is more than one; nothing while unknown.

    >>> rate(1234.5), rate(2.5), rate(0.25), rate(None)
    (', 1,234/s', ', 2.5/s', ', 4.0 s each', '')
    """
    if not speed:
        return ""
    return f", {speed:,.{0 if speed >= 10 else 1}f}/s" if speed >= 1 else f", {1 / speed:.1f} s each"
