"""A task in, a result out: what scripts have in common that work in the environment of another library.

`compare_peers.Runner` calls them as `python SCRIPT NAME TASK RESULT`, two .npz files. Nothing here needs `keras_ood`.
"""

import json
import resource
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def answer(work: Callable[[str, Arrays], tuple[Arrays, dict[str, Any]]]) -> None:
    """Write the arrays and the costs that a function finds, given the name and the arrays of the task."""
    name, task, result = sys.argv[1:]
    with np.load(task) as file:
        found, costs = work(name, dict(file))
    np.savez(result, costs=json.dumps(costs), **found)  # type: ignore[arg-type]  # an older NumPy knows no `allow_pickle`


def peak_mib() -> int:
    """Return the memory of this process at its highest."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
