"""nonconform's p-values and discoveries of given scores, in a process of its own.

    python conformal_values.py nonconform TASK RESULT

runs where nonconform is, which need not hold `keras_ood`; `compare_conformal.py` calls it. `TASK` is an .npz file:
`calibration` scores `(n,)`, `scores` `(m,)` and a false discovery rate, `fdr`. `RESULT` gets the `p_values` `(m,)`, what it
`selected` `(m,)` at that rate, and its version.
"""

import json
import sys
from importlib.metadata import version
from typing import Any

import numpy as np
from nonconform import ConformalDetector, Split


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


def main() -> None:
    """Judge the scores of one task."""
    _, task, result = sys.argv[1:]
    with np.load(task) as file:
        calibration, scores, fdr = file["calibration"][:, None], file["scores"][:, None], float(file["fdr"])
    detector = ConformalDetector(Given(), Split(), score_polarity="higher_is_anomalous").calibrate(calibration)
    found = {"p_values": detector.compute_p_values(scores), "selected": detector.select(scores, alpha=fdr)}
    costs = {"version": version("nonconform")}
    np.savez(result, allow_pickle=False, costs=json.dumps(costs), **{name: np.asarray(found[name]) for name in found})


if __name__ == "__main__":
    main()
