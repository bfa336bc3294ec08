"""What the command `monitor` does with the batches of a stream: a martingale over them, or a test of windows."""

import json
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_ood.cli.computing import load
from keras_ood.cli.console import err
from keras_ood.cli.reading import Reading
from keras_ood.cli.streams import Batch
from keras_ood.images.no_images import NoImagesError
from keras_ood.tables.records import finite
from keras_ood.terminal.interrupts import hold_interrupts

if TYPE_CHECKING:
    from keras_ood.monitoring import Record


class Line(NamedTuple):
    """A line of the output: the path of an image, None where it is not known, and a record of it."""

    path: str | None
    record: Any


class MartingaleWatch:
    """A `Monitor` over the batches of a stream.

    Args:
        model: Handle of the detector.
        reading: How image files are read.
        batch_size: Images per pass.
        plot: Where to draw what was seen; None for nowhere.
        **settings: Of the `Monitor`.
    """

    def __init__(self, model: str, reading: Reading, batch_size: int, plot: Path | None, **settings: Any) -> None:
        from keras_ood.monitoring import Monitor

        self.monitor = Monitor(load(model), autosave=False, **settings)
        self._reading, self._batch_size, self._plot = reading, batch_size, plot
        self._endpoint: Any = None
        self._drawn: list[Record] = []
        self._flagged = 0

    def position(self, source: str) -> Any:
        """Return where to go on in a source."""
        kept = self.monitor.position
        return kept["at"] if kept and kept["source"] == source else None

    def serve(self, port: int, host: str) -> AbstractContextManager[Any]:
        """Return the endpoint that shows what is seen, where it is open."""
        from keras_ood.monitoring.endpoint import Endpoint

        self._endpoint = Endpoint(port, host, alarm=self.alarmed)
        err.print(f"Metrics: http://{host}:{self._endpoint.port}/metrics", highlight=False)
        return self._endpoint  # type: ignore[no-any-return]

    def watch(self, batch: Batch, source: str, stream: IO[str]) -> None:
        """Take the next images in, write a line for each and then the state: a kill loses no line, and may repeat some."""
        before = self.monitor.alarm
        lines: list[Line] = []
        for is_image, items in groupby(batch.items, lambda item: item.score is None):
            if is_image:
                lines += self._images([str(item.path) for item in items])
            else:
                paths, scores = zip(*items, strict=True)
                lines += map(Line, paths, self.monitor.update_scores(np.array(scores)))
        self._reading.skipped += batch.skipped
        records = [line.record for line in lines]
        with hold_interrupts():
            write(lines, stream)
            self.monitor.position = {"source": source, "at": batch.position}
            self.monitor.save()
        self._flagged += sum(record.ood for record in records)
        if self._endpoint:
            self._endpoint.show(records)
        if self._plot:
            self._drawn += records
        if self.monitor.alarm is not None and before is None:
            path = next(line.path for line in lines if line.record.index == self.monitor.alarm)
            err.print(f"Alarm at image {self.monitor.alarm}" + (f", {path}" if path else ""), style="red", highlight=False)

    def _images(self, paths: list[str]) -> Iterable[Line]:
        source, names = self._reading.open(paths)
        records = self.monitor.update(source, batch_size=self._batch_size, progress=False)
        columns = (np.array([getattr(record, name) for record in records]) for name in ("score", "p_value", "ood"))
        read = [path for path, score, *_ in names.rows(*columns) if score is not None]
        return map(Line, read, records)

    def finish(self) -> None:
        """Draw the plot, where there is something to draw."""
        if self._plot and self._drawn:
            from keras_ood import plots

            values, scores = np.array([(record.log10_martingale, record.score) for record in self._drawn]).T
            watched = self.monitor
            figure = plots.martingale(values, scores, watched.alpha, self._drawn[0].index, watched.alarm, watched.change)
            figure.savefig(self._plot)

    @property
    def alarmed(self) -> bool:
        """Whether the alarm was raised."""
        return self.monitor.alarm is not None

    @property
    def summary(self) -> dict[str, Any]:
        """What was seen, as plain data."""
        watched = self.monitor
        return {
            "images": watched.images,
            "flagged": self._flagged,
            "alpha": watched.alpha,
            "alarm": watched.alarm,
            "change": watched.change,
            "log10_martingale": watched.log10_martingale,
        }

    @property
    def words(self) -> str:
        """What was seen, as the beginning of a sentence."""
        watched = self.monitor
        if watched.alarm is None:
            return f"No alarm in {watched.images:,} images, alpha {watched.alpha:g}"
        since = f"the change most plausibly began at image {watched.change:,}"
        return f"Alarm at image {watched.alarm:,} of {watched.images:,}, alpha {watched.alpha:g}; {since}"


class WindowWatch:
    """A `WindowedTest` over the batches of a stream.

    Args:
        model: Handle of the detector.
        reading: How image files are read.
        window: Images in a window.
        alpha: Of each window.
    """

    def __init__(self, model: str, reading: Reading, window: int, alpha: float) -> None:
        from keras_ood.monitoring import WindowedTest

        self.test = WindowedTest.from_detector(load(model), window, alpha)
        self._reading = reading
        self.alarms = self.windows = 0

    def position(self, source: str) -> None:
        """Return None: windows have no state."""

    def watch(self, batch: Batch, source: str, stream: IO[str]) -> None:
        """Take the next images in and write a line for each window that they fill."""
        if any(item.score is not None for item in batch.items):
            raise ValueError("Windows are tested in features of images, which scores have not. Received: scores, with --window")
        if not batch.items:
            return
        try:
            records = self.test.update(self._reading.open([str(item.path) for item in batch.items])[0])
        except NoImagesError:  # of unreadable files alone: those that come next may be others
            return
        with hold_interrupts():
            write((Line(None, record) for record in records), stream)
        self.windows += len(records)
        self.alarms += sum(record.alarm for record in records)

    def finish(self) -> None:
        """Nothing is left to do."""

    @property
    def alarmed(self) -> bool:
        """Whether a window alarmed."""
        return self.alarms > 0

    @property
    def summary(self) -> dict[str, Any]:
        """What was seen, as plain data."""
        return {"windows": self.windows, "images": self.test.images, "alpha": self.test.gate.alpha, "alarms": self.alarms}

    @property
    def words(self) -> str:
        """What was seen, as the beginning of a sentence."""
        each = f"{self.test.window} images alarm, alpha {self.test.gate.alpha:g} each"
        return f"{self.alarms:,} of {self.windows:,} windows of {each}"


def write(lines: Iterable[Line], stream: IO[str]) -> None:
    """Write lines as JSON and let them go at once."""
    stream.writelines(
        json.dumps(finite(({"path": line.path} if line.path else {}) | asdict(line.record))) + "\n" for line in lines
    )
    stream.flush()
