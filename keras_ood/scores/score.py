"""What every score has in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np


class Score(ABC):
    """A number an image gets from a detector's statistics; higher means more out-of-distribution.

    A score that learns (a density over statistics, say) does so in `fit`, from in-distribution images alone; what it learned
    is a dictionary of arrays, kept with the detector's weights and handed back to every call.

    Attributes:
        name: What callers write as `method`.
        needs: Names of the statistics it reads.
        learns: Whether `fit` must have run.
    """

    name: str
    needs: tuple[str, ...]
    learns = False

    def fit(self, statistics: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return what the score learns from `(N,)` statistics of in-distribution images."""
        return {}

    @abstractmethod
    def __call__(self, statistics: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return `(N,)` scores of `(N,)` statistics; `state` is what `fit` returned."""
