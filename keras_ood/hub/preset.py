"""The preset folder: weights, configuration and provenance, each file with its checksum."""

import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_ood.hub import handles
from keras_ood.models import Detector

PRESET = "preset.json"
REQUIRED = ("config.json", "metadata.json", "model.weights.h5")
GOLDEN_TOLERANCE = 1e-4  # of the largest golden score


class PresetError(ValueError):
    """A preset folder is incomplete, damaged or not what it says."""


def save(detector: Detector, folder: str | os.PathLike[str], provenance: dict[str, Any]) -> None:
    """Write `detector` as a preset folder; see `Detector.save_pretrained`.

    `config.json`, `metadata.json` and `model.weights.h5` are what `keras.saving.load_model(folder)` reads.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"A preset is a folder. Received: {folder}, which is a file")
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*REQUIRED, PRESET):
        (folder / name).unlink(missing_ok=True)
    keras.saving.save_model(detector.inference_copy(), folder, zipped=False, overwrite=True)
    if (folder / "assets").is_dir():  # Keras leaves it empty under an absolute path, and cannot save there again
        (folder / "assets").rmdir()
    seal(folder, describe(detector) | provenance)


def describe(detector: Detector) -> dict[str, Any]:
    """Return what a detector itself knows of its preset."""
    return {
        "format": 1,
        "code_version": version("keras-ood"),
        "family": type(detector).__name__,
        "input_shape": list(detector.image_shape),
        "parameters": sum(int(np.prod(weight.shape)) for weight in detector.trainable_weights),
        "default_score": detector.default_score,
        "calibration_size": {name: len(detector.calibration(name)) for name in detector.calibrated_scores()},
        "golden_scores": [float(score) for score in golden_scores(detector)],
    }


def seal(folder: Path, content: dict[str, Any]) -> None:
    """Write `preset.json`: `content`, and size and SHA-256 of every other file of the folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != PRESET)
    content = content | {"files": {path.name: {"size": path.stat().st_size, "sha256": sha256(path)} for path in files}}
    (folder / PRESET).write_text(json.dumps(content, indent=2) + "\n")


def from_pretrained(handle: str | os.PathLike[str]) -> Detector:
    """Return a pretrained detector, with its calibration, after checking every file and its golden scores.

    Args:
        handle: A zoo name (`keras_ood.list_models()`) or the path of a preset folder. No network is used.

    Raises:
        ValueError: No preset has that name.
        PresetError: A file is missing, damaged or truncated, or the scores are not those it was published with.

    >>> detector = from_pretrained("tilted-vae-digits")
    >>> detector.score(np.zeros((2, 8, 8, 1), np.uint8)).shape
    (2,)
    """
    folder = handles.resolve(handle)
    preset = read(folder)
    verify(folder, preset)
    detector = keras.saving.load_model(folder, compile=False, safe_mode=True)
    if not isinstance(detector, Detector):
        raise PresetError(f"Expected a preset of a keras_ood.Detector. Received: {type(detector).__name__} in {folder}")
    found, expected = golden_scores(detector), np.asarray(preset["golden_scores"], np.float32)
    if found.shape != expected.shape or np.max(np.abs(found - expected)) > GOLDEN_TOLERANCE * np.max(np.abs(expected)):
        raise PresetError(
            f"The detector in {folder} does not give its golden scores on this machine. "
            f"Expected: {expected.tolist()}. Received: {found.tolist()}"
        )
    return detector


def read(folder: Path) -> dict[str, Any]:
    """Return the content of `preset.json`.

    Raises:
        PresetError: It is missing or not JSON of the expected form.
    """
    path = folder / PRESET
    try:
        content = json.loads(path.read_text())
        if not isinstance(content["files"], dict) or not isinstance(content["golden_scores"], list):
            raise TypeError("`files` or `golden_scores` has the wrong type")
    except FileNotFoundError as error:
        raise PresetError(f"A preset folder holds {PRESET}. Received: {folder} without it") from error
    except (ValueError, KeyError, TypeError) as error:
        raise PresetError(f"Expected a {PRESET} as written by `save_pretrained`. Received: {path} ({error!r})") from error
    return dict(content)


def verify(folder: Path, preset: dict[str, Any]) -> None:
    """Check size and SHA-256 of every file that `preset.json` names.

    Raises:
        PresetError: The first file that differs, with what was expected and what was found.
    """
    missing = [name for name in REQUIRED if name not in preset["files"]]
    if missing:
        raise PresetError(f"A preset lists {REQUIRED}. Received: {folder / PRESET} without {missing}")
    for name, expected in preset["files"].items():
        path = folder / name
        if Path(name).name != name:
            raise PresetError(f"A preset names files of its own folder alone. Received: {name!r} in {folder / PRESET}")
        if not path.is_file():
            raise PresetError(f"A file of the preset is missing. Expected: {path}. Received: no such file")
        for quantity, found in (("size", path.stat().st_size), ("sha256", sha256(path))):
            if found != expected[quantity]:
                raise PresetError(
                    f"A file of the preset is damaged: {path}. Expected {quantity}: {expected[quantity]}. Received: {found}"
                )


def golden_scores(detector: Detector) -> np.ndarray:
    """Return the scores of eight fixed synthetic images of the detector's own size, made without a generator.

    The default score; `nll`, where that one is not fitted yet.
    """
    image, row, column, channel = np.ogrid[:8, : detector.image_shape[0], : detector.image_shape[1], : detector.image_shape[2]]
    pattern = 37 * image + (image + 3) * column + (2 * image + 5) * row + 11 * channel
    method = detector.default_score if detector.default_score in detector.ready_scores() else "nll"
    return detector.score((pattern % 256).astype(np.uint8), method, progress=False)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
