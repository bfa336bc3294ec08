"""What a training's folder belongs to."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

_SETTINGS = "settings.json"


def claim(state: Path, settings: dict[str, Any], arrays: Iterable[np.ndarray] = ()) -> None:
    """Make a training's folder, and let nothing go on there with the training of other images or settings.

    Args:
        state: The folder.
        settings: Whatever decides the training, as JSON takes it.
        arrays: Images and weights that it begins with.
    """
    digest = hashlib.sha256()
    for part in arrays:
        digest.update(np.ascontiguousarray(part).tobytes())
    wanted = settings | {"images_and_weights": digest.hexdigest()}
    path = state / _SETTINGS
    if path.exists():
        try:
            found = dict(json.loads(path.read_text()))
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(
                f"A training's folder says what it belongs to; remove {state} to begin anew. Received: {path} ({error})"
            ) from error
        if found != wanted:
            other = {key: value for key, value in found.items() if wanted.get(key) != value}
            raise ValueError(
                f"A training goes on with the images and settings that it began with; remove {state} to begin anew. "
                f"Received: another value for {sorted(other)}"
            )
        return
    state.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(wanted, indent=2) + "\n")
