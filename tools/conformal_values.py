"""nonconform's p-values and discoveries of given scores, in a process of its own.

    python conformal_values.py nonconform TASK RESULT

runs where nonconform is, which need not hold `keras_ood`; `compare_conformal.py` calls it. `TASK` is an .npz file:
`calibration` scores `(n,)`, `scores` `(m,)` and a false discovery rate, `fdr`. `RESULT` gets the `p_values` `(m,)`, what it
`selected` `(m,)` at that rate, and its version.
"""

from importlib.metadata import version
from typing import Any

import numpy as np
from nonconform import ConformalDetector, Split
from task_process import answer


class Given:
    """A fitted detector whose scores are its input."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return nothing: there are no parameters."""
        return {}

    def set_params(self, **parameters: Any) -> "Given":
        """Return the detector as it is."""
        return self

    def fit(self, x: np.ndarray, y: Any = None) -> "Given":
        """Return the detector as it is."""
        return self

    def decision_function(self, x: np.ndarray) -> np.ndarray:
        """Return the scores `(n,)` that are the input `(n, 1)`."""
        return np.asarray(x)[:, 0]


def judged(_: str, task: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the p-values and what is selected."""
    calibration, scores, fdr = task["calibration"][:, None], task["scores"][:, None], float(task["fdr"])
    detector = ConformalDetector(Given(), Split(), score_polarity="higher_is_anomalous").calibrate(calibration)
    found = {"p_values": detector.compute_p_values(scores), "selected": detector.select(scores, alpha=fdr)}
    return {name: np.asarray(values) for name, values in found.items()}, {"version": version("nonconform")}


if __name__ == "__main__":
    answer(judged)
