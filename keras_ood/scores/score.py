"""What every score has in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np


class Score(ABC):
    """A number an image gets from a detector's statistics; higher means more out-of-distribution.

    Attributes:
        name: What callers write as `method`.
        needs: Names of the statistics it reads.
    """

    name: str
    needs: tuple[str, ...]

    @abstractmethod
    def __call__(self, statistics: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return `(N,)` scores of `(N,)` statistics."""
