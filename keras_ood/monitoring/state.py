"""What a monitor keeps on disk, whole at any moment."""

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

FILE = "monitor.npz"
_PLAIN = "plain"


def write_state(folder: Path, plain: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a state in the place of the one before; a process that is killed meanwhile leaves one of the two.

    Args:
        folder: Made where absent.
        plain: What JSON knows.
        arrays: Arrays of numbers, none named `plain`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{FILE}.unfinished"
    text = np.frombuffer(json.dumps(plain).encode(), np.uint8)
    with unfinished.open("wb") as file:
        np.savez(file, **{_PLAIN: text}, **arrays)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(folder / FILE)


def read_state(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """Return what `write_state` wrote, None where nothing is.

    Raises:
        ValueError: A file that it has not written.
    """
    try:
        with (folder / FILE).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return json.loads(arrays.pop(_PLAIN).tobytes()), arrays
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"Expected the state of a monitor. Received: {folder / FILE}, which is none ({error})") from error
