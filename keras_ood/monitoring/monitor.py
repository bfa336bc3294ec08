"""A stream of images or scores, watched for a change."""

import hashlib
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_ood.calibration import NOMINAL_FPR
from keras_ood.calibration.conformal import Calibration
from keras_ood.models import Detector
from keras_ood.monitoring.martingale import ConformalMartingale
from keras_ood.monitoring.pool import CAPACITY, RankedPool
from keras_ood.monitoring.state import read_state, write_state
from keras_ood.terminal.numbers import is_between, is_whole


@dataclass(frozen=True)
class Record:
    """What a monitor says of one image.

    Attributes:
        index: Its number in the stream, from 0.
        score: Higher = more out-of-distribution.
        p_value: Against the calibration alone, as `detector.p_values` gives it.
        ood: Whether that is at most `fpr`.
        log10_martingale: Evidence of a change so far, the decimal logarithm: 2 is a hundredfold.
        alarm: Whether the alarm has been raised, by this image or one before.
    """

    index: int
    score: float
    p_value: float
    ood: bool
    log10_martingale: float
    alarm: bool


class Monitor:
    """Raises an alarm when a stream is no longer drawn as the calibration images were; ever falsely with probability alpha.

    Every score is ranked among the calibration's and the stream's before it (`RankedPool`), and a `ConformalMartingale` bets
    against these ranks being uniform. The alarm is raised when it has multiplied its capital by 1/alpha. While calibration and
    stream are drawn alike and images do not depend on each other, the probability that this ever happens is at most alpha,
    however long the stream is and however often one looks.

    The alarm stays until `reset`. `change` then says at which image the change most plausibly began.

    Args:
        detector: A calibrated detector, or the `Calibration` of one: then only scores are taken.
        alpha: Probability of ever a false alarm, in 0..1.
        method: Name of the score; None for the detector's default.
        every: Bets on one image in so many, the first among them; all are scored. For frames that depend on each other, see
            `suggested_thinning`.
        fpr: False positive rate of `Record.ood`.
        seed: Breaks ties between scores.
        state: Folder whose state is gone on from, where there is one, and kept up to date: one monitor a folder. None for
            memory alone.
        autosave: Whether every update ends with `save`; False where the caller first writes down what the update has returned.
        capacity: How many scores are kept to rank others among.

    Attributes:
        images: Number of images seen.
        alarm: Index of the image that raised the alarm; None before.
        position: Where in its source the caller is: what JSON knows, kept with the state.

    Raises:
        ValueError: An argument out of range, a score without p-values, or the state of another monitor.
        NotCalibratedError: The detector is not calibrated for the score.

    Examples:
        >>> generator = np.random.default_rng(0)
        >>> monitor = Monitor(Calibration(generator.normal(size=500)), alpha=0.01)
        >>> any(record.alarm for record in monitor.update_scores(generator.normal(size=1000)))
        False
        >>> records = monitor.update_scores(generator.normal(4, 1, size=50))
        >>> monitor.alarm, monitor.change
        (1003, 1000)
    """

    def __init__(
        self,
        detector: Detector | Calibration,
        alpha: float = 0.01,
        method: str | None = None,
        *,
        every: int = 1,
        fpr: float = NOMINAL_FPR,
        seed: int = 0,
        state: str | os.PathLike[str] | None = None,
        autosave: bool = True,
        capacity: int = CAPACITY,
    ) -> None:
        if not is_between(alpha, 0, 1):
            raise ValueError(f"`alpha` must be a probability above 0 and below 1. Received: {alpha!r}")
        if not is_whole(every, 1):
            raise ValueError(f"`every` must be a positive integer. Received: {every!r}")
        self.detector = None if isinstance(detector, Calibration) else detector
        self.calibration = detector if isinstance(detector, Calibration) else detector.calibration(method)
        self.calibration.threshold(fpr)  # refuses an fpr out of reach
        self.alpha, self.method, self.every, self.fpr, self.autosave = float(alpha), method, int(every), float(fpr), autosave
        self.images = 0
        self.alarm: int | None = None
        self.position: Any = None
        self._capacity = capacity
        self._generator = np.random.default_rng(seed)
        self._start()
        self.state = None if state is None else Path(state)
        if self.state is not None:
            self._go_on(self.state)

    def _start(self) -> None:
        self._first = self.images
        self._pool = RankedPool(self.calibration, self._capacity)
        self._martingale = ConformalMartingale()

    @property
    def log10_martingale(self) -> float:
        """Evidence of a change so far, the decimal logarithm."""
        return float(self._martingale.log_value) / math.log(10)

    @property
    def change(self) -> int | None:
        """Index of the image at which the change most plausibly began; None before the alarm."""
        return None if self.alarm is None else self._first + self.every * int(self._martingale.change)

    def update(self, images: Any, **options: Any) -> list[Record]:
        """Watch the next images and return what is to say of each.

        Args:
            images: Any accepted source.
            **options: Of `detector.statistics`: `batch_size`, `progress`.

        Raises:
            ValueError: As `detector.iterate_p_values`, or a monitor of a calibration.
        """
        if self.detector is None:
            raise ValueError(
                "A monitor of a calibration takes scores, `update_scores`; one of a detector takes images. "
                f"Received: {type(images).__name__}"
            )
        batches = self.detector.iterate_p_values(images, self.method, **options)
        return self._kept([record for scores, p_values in batches for record in self._judged(scores, p_values)])

    def update_scores(self, scores: np.ndarray) -> list[Record]:
        """Watch the next images by their scores, `(N,)`, of the same method as the calibration's; see `update`.

        Raises:
            ValueError: Scores that are not finite.
        """
        scores = np.atleast_1d(np.asarray(scores, np.float32))
        if scores.ndim != 1:
            raise ValueError(f"Scores must be finite numbers (N,). Received: shape {scores.shape}")
        return self._kept(self._judged(scores, self.calibration.p_values(scores)))

    def reset(self) -> None:
        """Start anew after an alarm, from the calibration alone: the next false alarm has probability alpha again."""
        self.alarm = None
        self._start()
        self._kept([])

    def save(self) -> None:
        """Write the state into its folder, where there is one."""
        if self.state is not None:
            martingale = self._martingale
            plain = self._kind() | {
                "images": self.images,
                "first": self._first,
                "alarm": self.alarm,
                "position": self.position,
                "steps": martingale.steps,
                "generator": self._generator.bit_generator.state,
            }
            arrays = {"pool": self._pool.scores, "capitals": martingale.capitals}
            arrays |= {"plausibility": martingale.plausibility, "starts": martingale.starts}
            write_state(self.state, plain, arrays)

    def _judged(self, scores: np.ndarray, p_values: np.ndarray) -> list[Record]:
        if wrong := int(np.sum(~np.isfinite(scores))):
            raise ValueError(f"Scores must be finite numbers (N,). Received: {wrong} of {len(scores)} not finite")
        records = []
        for score, p_value in zip(scores.tolist(), p_values.tolist(), strict=True):
            if (self.images - self._first) % self.every == 0:
                log_value = self._martingale.update(self._pool.p_value(score, self._generator))
                if self.alarm is None and log_value >= -math.log(self.alpha):
                    self.alarm = self.images
            alarm = self.alarm is not None
            records.append(Record(self.images, score, p_value, p_value <= self.fpr, self.log10_martingale, alarm))
            self.images += 1
        return records

    def _kept(self, records: list[Record]) -> list[Record]:
        if self.autosave:
            self.save()
        return records

    def _kind(self) -> dict[str, Any]:
        """What a state belongs to."""
        digest = hashlib.sha256(self.calibration.scores.tobytes()).hexdigest()
        return {"calibration": digest, "alpha": self.alpha, "every": self.every, "capacity": self._pool.capacity}

    def _go_on(self, folder: Path) -> None:
        found = read_state(folder)
        if found is None:
            return
        plain, arrays = found
        expected = self._kind()
        received = {name: plain.get(name) for name in expected}
        if received != expected:
            raise ValueError(
                f"The state of this monitor has {json.dumps(expected)}; another takes another folder. "
                f"Received: {folder} with {json.dumps(received)}"
            )
        self.images, self._first, self.alarm, self.position = (plain[key] for key in ("images", "first", "alarm", "position"))
        self._generator.bit_generator.state = plain["generator"]
        self._pool.scores = arrays["pool"]
        martingale = self._martingale
        martingale.steps = plain["steps"]
        martingale.capitals, martingale.plausibility = arrays["capitals"], arrays["plausibility"]
        martingale.starts = arrays["starts"]
