"""What a training's folder says of the training once it is finished."""

import json
from pathlib import Path
from typing import Any

NOTE = "training.json"


def write_note(folder: Path, noted: dict[str, Any]) -> None:
    """Write what a training noted: epochs, images, seconds, machine, ..."""
    (folder / NOTE).write_text(json.dumps(noted, indent=2) + "\n")


def read_note(folder: Path) -> dict[str, Any]:
    """Return what the training of a folder noted."""
    return dict(json.loads((folder / NOTE).read_text()))
