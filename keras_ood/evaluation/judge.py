"""Flags of images whose scores come batch by batch."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_ood.calibration.mondrian import MondrianCalibration
from keras_ood.calibration.rule import Part, Rule
from keras_ood.tables.score_table import Row


class Judge:
    """Gives rows their flags: at once where a false positive rate is held, at the end where a false discovery rate is.

    Args:
        detector: Calibrated.
        method: Its score; None for the default one.
        rule: What is flagged.
        by_folder: Whether the name of an image's folder is its group.

    Attributes:
        flagged: Number of images flagged so far.
        count: Number of images that were read so far.

    Raises:
        ValueError: A rate that the calibration cannot promise.
        NotCalibratedError: The score is not calibrated, or not by group.
    """

    def __init__(self, detector: Any, method: str | None, rule: Rule, by_folder: bool = False) -> None:
        self._rule, self._calibration = rule, detector.calibration(method)
        self._mondrian: MondrianCalibration | None = detector.mondrian(method) if by_folder else None
        rule.require(self._calibration)
        self._held: list[Row] = []
        self.flagged = self.count = 0

    def judged(self, rows: list[Row]) -> list[Row]:
        """Return rows with their flags; none yet where all images are judged together.

        Args:
            rows: With p-values among all held-out images, and any flags; empty ones of images that could not be read.
        """
        if self._rule.fdr is None:
            return self._flagged(rows)
        self._held += rows
        return []

    def rest(self) -> list[Row]:
        """Return the rows that waited for the last one, with their flags."""
        return self._flagged(self.undecided())

    def undecided(self) -> list[Row]:
        """Return the rows that wait, without flags."""
        rows: list[Row] = [(*row[:3], None) for row in self._held]
        self._held = []
        return rows

    def _flagged(self, rows: list[Row]) -> list[Row]:
        read = [row for row in rows if row[1] is not None]
        p_values = np.array([row[2] for row in read], np.float64)
        parts: list[Part] = [(slice(None), self._calibration)]
        if self._mondrian is not None:
            groups = [Path(path).parent.name for path, *_ in read]
            p_values = self._mondrian.p_values(np.array([row[1] for row in read]), groups)
            parts = self._mondrian.parts(groups)
        flags = self._rule.flags(p_values, parts)
        self.flagged, self.count = self.flagged + int(flags.sum()), self.count + len(read)
        decided = iter(zip(p_values.tolist(), flags.tolist(), strict=True))
        return [row if row[1] is None else (*row[:2], *next(decided)) for row in rows]
