"""The preset folder as files: `preset.json`, and size and SHA-256 of all others."""

import contextlib
import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from keras_ood.hub.content import Content, File
from keras_ood.hub.typed import mistyped

FORMAT = 1
PRESET = "preset.json"
CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
REQUIRED = (CONFIG, "metadata.json", WEIGHTS)
CARD = "README.md"
SOURCES = ("recipe.toml", "sweep.csv")
"""What there is before a detector is trained: stays on disk where another detector is saved in its place."""
FILES = (
    *REQUIRED,
    CARD,
    *SOURCES,
    "adversarial.csv",
    "results.csv",
    "samples.png",
    "heat-maps.png",
    "set_level.csv",
    "spectrum.csv",
    "training.csv",
    "training.png",
)
"""Every file that a preset may have beside `preset.json`; whatever else lies in its folder is not of it."""
GOLDEN = 8  # images
LARGEST_SIDE = 512  # of an image
MOST_FILES = 64
LONGEST_SHOWN = 200  # of what a stranger wrote
LONGEST_JSON = 2**20  # bytes that are read into memory unverified
LARGEST = 2**31  # bytes of all files together that a preset may declare
_FILE_NAME = re.compile(r"\w[\w.-]{0,59}")


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


def seal(folder: Path, content: Content, names: Collection[str] = FILES) -> None:
    """Write `preset.json`: `content`, and size and SHA-256 of the preset's files; any other file of the folder is left out.

    Args:
        folder: Folder of the preset.
        content: What `preset.json` shall say; its `files` are replaced.
        names: Those of `FILES` that belong to this preset; one that is not there is left out.
    """
    _write(folder / PRESET, content, {name: _file(folder / name) for name in _there(folder, names)})


@contextlib.contextmanager
def drafted(folder: Path, keep_others: bool = False) -> Iterator[Path]:
    """Give a folder for the files of a new preset, which take the place of the old one in `folder` when the block has ended.

    All of them, or none: after an error the old preset is what it was. What is not the old preset's own stays where it is.

    Args:
        folder: Folder of the preset, created where absent.
        keep_others: Whether files of the old preset that the new one does not have stay too.

    Raises:
        FileExistsError: A file that is not a preset's has the name of a new one.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"A preset is a folder. Received: {folder}, which is a file")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=folder) as draft:  # inside: on the same disk for certain
        new, old = Path(draft) / "new", Path(draft) / "old"
        new.mkdir()
        old.mkdir()
        yield new
        names = [path.name for path in new.iterdir() if path.is_file()]
        refuse_strangers(folder, names)
        outdated = [] if keep_others else set(_own(folder)) - set(SOURCES)
        moves = [(folder / name, old / name) for name in _there(folder, {*names, *outdated})]
        moves += [(new / name, folder / name) for name in names if name != PRESET]
        moves += [(new / PRESET, folder / PRESET)]  # last: until then the folder says that a preset is there
        _move_all(moves)


def rewrite(folder: Path, content: Content, name: str, text: str) -> None:
    """Write one file of a preset anew, and `preset.json` with the checksums as they are then: both, or none.

    Raises:
        FileExistsError: There is a file of that name that is not the preset's.
    """
    listed = [*content["files"], *(SOURCES if "recipe_sha256" in content else ())]
    with drafted(folder, keep_others=True) as new:
        (new / name).write_text(text, encoding="utf-8")
        files = {other: _file(folder / other) for other in _there(folder, listed)} | {name: _file(new / name)}
        _write(new / PRESET, content, dict(sorted(files.items())))


def refuse_strangers(folder: Path, names: Iterable[str]) -> None:
    """Check that nothing of a folder would be lost if a preset's files of these names were written there.

    Raises:
        FileExistsError: There is a file that is not a preset's own.
    """
    own = {*_own(folder), *SOURCES}
    found = sorted(name for name in names if name not in own and (folder / name).exists())
    if found:
        raise FileExistsError(
            "A preset takes the place of another preset alone; move what is there away, or take another folder. "
            f"Received: {folder} with {found} of something else"
        )


def _own(folder: Path) -> list[str]:
    """The files of the preset that is in a folder, `preset.json` among them; none where that cannot be read."""
    try:
        return [PRESET, *_there(folder, read(folder)["files"])]
    except PresetError:
        return []


def _there(folder: Path, names: Collection[str]) -> list[str]:
    return sorted(name for name in FILES if name in names and (folder / name).is_file())


def _move_all(moves: Iterable[tuple[Path, Path]]) -> None:
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            done.append((source, target))
            os.replace(source, target)
    except BaseException:
        for source, target in reversed(done):
            if not source.exists():
                os.replace(target, source)
        raise


def _file(path: Path) -> File:
    return File(size=path.stat().st_size, sha256=sha256(path))


def _write(path: Path, content: Content, files: dict[str, File]) -> None:
    text = json.dumps({**content, "files": files}, indent=2)
    _check(json.loads(text), path)  # what could not be read again is refused now
    path.write_text(f"{text}\n")


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
    except (ValueError, RecursionError) as error:
        raise PresetError(f"Expected a {PRESET} as written by `save_pretrained`. Received: {path} ({error!r})") from error
    _check(content, path)
    files = content["files"]
    missing = [name for name in REQUIRED if name not in files]
    if missing or len(files) > MOST_FILES:
        raise PresetError(f"A preset lists {REQUIRED}, {MOST_FILES} files at most. Received: {path} without {missing}")
    for name in files:
        if not _FILE_NAME.fullmatch(name):
            raise PresetError(f"A preset names files of its own folder alone. Received: {name[:LONGEST_SHOWN]!r} in {path}")
    sizes = [file["size"] for file in files.values()]
    if min(sizes) < 0 or sum(sizes) > LARGEST:
        raise PresetError(f"The files of a preset have at most {LARGEST} bytes together. Received: {sum(sizes)} in {path}")
    return cast(Content, content)


def _check(content: Any, path: Path) -> None:
    """Refuse a content of other types than those of `Content`, or of numbers that describe no detector."""
    problem = next(mistyped(content, Content), None)
    if problem is None:
        scores, shape, sizes = content["golden_scores"], content["input_shape"], content["calibration_size"].values()
        problems = {
            "no 'files'": "files" not in content,
            f"format {content['format']}, read here: {FORMAT}": content["format"] != FORMAT,
            f"`golden_scores` are not at most {GOLDEN} finite numbers": len(scores) > GOLDEN
            or not all(isinstance(score, float) and math.isfinite(score) for score in scores),
            f"`input_shape` {shape[:4]}": len(shape) != 3 or not 1 <= min(shape) <= max(shape) <= LARGEST_SIDE,
            "`calibration_size` of no images": min(sizes, default=1) < 1,
        }
        problem = next((words for words, found in problems.items() if found), None)
    if problem is not None:
        raise PresetError(f"Expected a {PRESET} as written by `save_pretrained`. Received: {path} ({problem[:LONGEST_SHOWN]})")


def verify(folder: Path, preset: Content) -> None:
    """Check size and SHA-256 of every file that `preset.json` names.

    Raises:
        PresetError: The first file that is missing, lies elsewhere or differs, with what was expected and what was found.
    """
    folder = folder.absolute()
    in_cache = folder.parent.name == "snapshots" and folder.parents[1].name.startswith("models--")
    home = (folder.parents[2] if in_cache else folder).resolve()  # huggingface_hub's files are links to blobs of its cache
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
