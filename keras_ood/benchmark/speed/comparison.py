"""Two ways to do the same work, timed in turn."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

Work = Callable[[], object]


@dataclass(frozen=True)
class Comparison:
    """How much faster one way is than another, on one machine in one run.

    Attributes:
        name: Name of the row.
        ratio: Rate of our way over that of the other, the median over the rounds; for `lower_is_better`, the quotient itself.
        ours: Our rate.
        theirs: The other rate.
        unit: Unit of both rates.
        goal: What the ratio should reach, None where nothing was asked.
        lower_is_better: Whether the ratio is a cost (time, memory) in place of a gain.
        allowance: A later ratio that is worse by more than this factor is a loss.
    """

    name: str
    ratio: float
    ours: float
    theirs: float
    unit: str
    goal: float | None = None
    lower_is_better: bool = False
    allowance: float = 1.5

    def worse_than(self, kept: "Comparison") -> bool:
        """Return whether the ratio is worse than a kept one by more than that one's allowance."""
        if self.lower_is_better:
            return self.ratio > kept.ratio * kept.allowance
        return self.ratio * kept.allowance < kept.ratio


def compare(
    name: str,
    ours: tuple[Work, int],
    theirs: tuple[Work, int],
    unit: str = "images/s",
    goal: float | None = None,
    rounds: int = 7,
    allowance: float = 1.5,
) -> Comparison:
    """Time two ways in turn, so that what else the machine does meets both.

    Args:
        name: Name of the row.
        ours: A function, and how many units one call of it does.
        theirs: The same of the other way.
        unit: Unit of the rates.
        goal: What the ratio should reach.
        rounds: Number of rounds of both; one more of each goes before and is not counted.
        allowance: Factor by which a later ratio may be worse.
    """
    rates = [(rate(*ours), rate(*theirs)) for _ in range(rounds + 1)][1:]
    ratio = median(own / other for own, other in rates)
    own, other = (median(column) for column in zip(*rates, strict=True))
    return Comparison(name, ratio, own, other, unit, goal, allowance=allowance)


def rate(work: Work, units: int) -> float:
    """Return units a second of one call."""
    start = time.perf_counter()
    work()
    return units / (time.perf_counter() - start)
