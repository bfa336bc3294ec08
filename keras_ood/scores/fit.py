"""What a score keeps of in-distribution images."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Fit:
    """The arrays of a fitted score, and the statistics that they belong to.

    Attributes:
        statistics: Names of the statistics that the score was fitted to, in the order of its arrays; empty for a score that is
            not fitted, which reads what it needs by name.
        arrays: What `Score.fit_arrays` returned, by name.
    """

    statistics: tuple[str, ...] = ()
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    def select(self, statistics: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the statistics that the score was fitted to, in their order; all of them for a score that is not fitted.

        Raises:
            ValueError: One of them is missing.
        """
        if not set(self.statistics) <= set(statistics):
            raise ValueError(
                f"This score was fitted to the statistics {list(self.statistics)}: calibrate again where a detector gives "
                f"others. Received: {list(statistics)}"
            )
        return {name: statistics[name] for name in self.statistics} if self.statistics else statistics
