"""Scores among which each next one is ranked: p-values that are independent and uniform."""

from bisect import bisect_left, bisect_right

import numpy as np

from keras_ood.calibration.conformal import Calibration

CAPACITY = 100_000


class RankedPool:
    """Calibration scores, and those of a stream that came since, among which each next score `s` is ranked.

    With `n` scores in the pool and `u` uniform in 0..1:

        p = (#{pool > s} + u (#{pool = s} + 1)) / (n + 1),   then s joins the pool

    As long as all scores, of calibration and stream, are drawn alike (exchangeable), these p-values are independent and
    uniform, exactly: given which `n + 1` scores there are, each is the newest with the same chance, whatever was the order
    before. Scores ranked among the calibration alone are not: they share its accidents, and a martingale grows by them on a
    long stream.

    A full pool lets go of a random one of its scores and the newest, each with the same chance. The p-values stay exact, for
    what is left is as good as drawn afresh; memory and state stay bounded.

    Args:
        calibration: What the pool starts from.
        capacity: How many scores it holds, at least as many as the calibration.

    Source: Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005, theorem 8.1 (smoothed p-values on line).
    """

    def __init__(self, calibration: Calibration, capacity: int = CAPACITY) -> None:
        self.capacity = max(capacity, len(calibration))
        self.scores = calibration.scores

    def __len__(self) -> int:
        return len(self._sorted)

    @property
    def scores(self) -> np.ndarray:
        """The scores in it, sorted, `(n,)` float32."""
        return np.array(self._sorted, np.float32)

    @scores.setter
    def scores(self, scores: np.ndarray) -> None:
        self._sorted: list[float] = scores.tolist()

    def p_value(self, score: float, generator: np.random.Generator) -> float:
        """Return the p-value of the next score, a finite float32, and take it in; small means out-of-distribution.

        Args:
            score: As above.
            generator: Gives `u`, and which score a full pool lets go of.
        """
        low, high = bisect_left(self._sorted, score), bisect_right(self._sorted, score)
        rank = len(self) - high + generator.random() * (high - low + 1)
        p_value = rank / (len(self) + 1)
        self._sorted.insert(high, score)
        if len(self) > self.capacity:
            del self._sorted[generator.integers(len(self))]
        return p_value
