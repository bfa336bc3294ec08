"""The preset folder as files: `preset.json`, and size and SHA-256 of all others."""

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any, cast

from keras_ood.hub.content import Content, File

FORMAT = 1
PRESET = "preset.json"
REQUIRED = ("config.json", "metadata.json", "model.weights.h5")
LONGEST_JSON = 2**20  # bytes that are read into memory unverified
LARGEST = 2**31  # bytes of all files together that a preset may declare
_FILE_NAME = re.compile(r"\w[\w.-]*")


class PresetError(ValueError):
    """A preset folder is incomplete, damaged or not what it says."""


class DamagedFileError(PresetError):
    """A file is not the one that was published.

    Attributes:
        path: Path of the file.
    """

    def __init__(self, path: Path, quantity: str, expected: Any, found: Any) -> None:
        super().__init__(f"A file of the preset is damaged: {path}. Expected {quantity}: {expected}. Received: {found}")
        self.path = path


def seal(folder: Path, content: Content) -> None:
    """Write `preset.json`: `content`, and size and SHA-256 of every other file of the folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != PRESET)
    listed = {path.name: File(size=path.stat().st_size, sha256=sha256(path)) for path in files}
    (folder / PRESET).write_text(json.dumps({**content, "files": listed}, indent=2) + "\n")


def read(folder: Path) -> Content:
    """Return the content of `preset.json`, its list of files checked: plain names, sizes within bounds.

    Raises:
        PresetError: It is missing, not JSON of the expected form, or lists what no preset holds.
    """
    path = folder / PRESET
    if not path.is_file():
        raise PresetError(f"A preset folder holds {PRESET}. Received: {folder} without it")
    if path.stat().st_size > LONGEST_JSON:
        raise PresetError(f"A {PRESET} has at most {LONGEST_JSON} bytes. Received: {path} of {path.stat().st_size}")
    try:
        content = json.loads(path.read_text())
        declared = {str(name): (int(file["size"]), str(file["sha256"])) for name, file in content["files"].items()}
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']!r}, read here: {FORMAT}")
        if not all(isinstance(score, float) and math.isfinite(score) for score in content["golden_scores"]):
            raise TypeError("`golden_scores` are not finite numbers")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise PresetError(f"Expected a {PRESET} as written by `save_pretrained`. Received: {path} ({error!r})") from error
    missing = [name for name in REQUIRED if name not in declared]
    if missing:
        raise PresetError(f"A preset lists {REQUIRED}. Received: {path} without {missing}")
    for name in declared:
        if not _FILE_NAME.fullmatch(name):
            raise PresetError(f"A preset names files of its own folder alone. Received: {name!r} in {path}")
    total = sum(size for size, _ in declared.values())
    if min(size for size, _ in declared.values()) < 0 or total > LARGEST:
        raise PresetError(f"The files of a preset have at most {LARGEST} bytes together. Received: {total} in {path}")
    return cast(Content, content)


def verify(folder: Path, preset: Content) -> None:
    """Check size and SHA-256 of every file that `preset.json` names.

    Raises:
        PresetError: The first file that is missing, lies elsewhere or differs, with what was expected and what was found.
    """
    in_cache = folder.parent.name == "snapshots"  # of huggingface_hub, whose files are links to blobs of the whole cache
    home = (folder.parents[2] if in_cache else folder).resolve()
    for name, expected in preset["files"].items():
        path = folder / name
        if not path.is_file():
            raise PresetError(f"A file of the preset is missing. Expected: {path}. Received: no such file")
        if not path.resolve().is_relative_to(home):
            raise PresetError(f"A preset's files lie in its own folder. Received: {path}, a link to {path.resolve()}")
        if (size := path.stat().st_size) != expected["size"]:
            raise DamagedFileError(path, "size", expected["size"], size)
        if (digest := sha256(path)) != expected["sha256"]:
            raise DamagedFileError(path, "sha256", expected["sha256"], digest)


def verify_digest(folder: Path, expected: str | None) -> None:
    """Check the SHA-256 of `preset.json` itself, where it is known.

    Raises:
        DamagedFileError: It differs.
    """
    if expected is not None and (found := sha256(folder / PRESET)) != expected:
        raise DamagedFileError(folder / PRESET, "sha256", expected, found)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
