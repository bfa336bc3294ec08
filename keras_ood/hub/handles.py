"""From what a caller writes to a preset folder."""

import fnmatch
import os
import re
from pathlib import Path

from keras_ood.names import did_you_mean


def zoo_folder() -> Path:
    """Return the folder of the embedded presets: inside the installed package, or at the root of a checkout."""
    package = Path(__file__).parents[1]
    embedded = package / "zoo"
    return embedded if embedded.is_dir() else package.parent / "zoo"


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of the presets that match a wildcard pattern, in natural order.

    >>> list_models("*digits*")
    ['tilted-vae-digits']
    """
    names = (folder.name for folder in zoo_folder().iterdir() if (folder / "preset.json").exists())
    return sorted(fnmatch.filter(names, pattern), key=_natural)


def resolve(handle: str | os.PathLike[str]) -> Path:
    """Return the preset folder that a handle names.

    Args:
        handle: A zoo name such as `"tilted-vae-digits"`, or the path of a preset folder.

    Raises:
        ValueError: Neither; the error lists close names. A nearly right name never loads other weights.
    """
    name = os.fspath(handle)
    if name in list_models():
        return zoo_folder() / name
    if name and Path(name).is_dir():
        return Path(name)
    known = list_models()
    raise ValueError(
        f"A handle is a zoo name ({', '.join(known)}) or the path of a preset folder."
        f"{did_you_mean(name, known)} Received: {name!r}"
    )


def _natural(name: str) -> list[int | str]:
    """Sort key in which `x2` comes before `x10`."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
