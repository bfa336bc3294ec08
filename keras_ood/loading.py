"""From a handle to a detector."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_ood.backend.forking import require_backend
from keras_ood.backend.machine import fast_bfloat16
from keras_ood.backend.settings import own_settings
from keras_ood.hub import handles, safety
from keras_ood.hub.content import Content
from keras_ood.hub.preset import WEIGHTS, PresetError, read, verify
from keras_ood.hub.serialization import golden_scores
from keras_ood.models import Detector

GOLDEN_TOLERANCE = 1e-4  # of the largest golden score
AUTO_TOLERANCE = 5e-3  # the same of `dtype="auto"`: presets within it keep their AUROC within 0.001 (`benchmark/precision.csv`)


def from_pretrained(
    handle: str | os.PathLike[str],
    *,
    revision: str | None = None,
    source: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
    dtype: str | None = None,
) -> Detector:
    """Return a pretrained detector, with its calibration, after checking every file and its golden scores.

    No code of the preset runs: it is built of this package's classes and of Keras layers from a fixed list. It computes in
    float32, channels last, whatever Keras' global settings are: `dtype` alone changes its arithmetic.

    Args:
        handle: A zoo name (`keras_ood.list_models()`), the path of a preset folder, or a model repository of the Hugging Face
            Hub, `"user/repo"` or `"hf://user/repo@revision"`.
        revision: Branch, tag or commit on the Hub; None for the commit that the zoo pins, or a repository's default branch.
        source: Source of a zoo name: `"embedded"` in the package, or `"hub"`; None for the package where it holds the preset.
        cache_dir: Folder of the Hub's files; None for huggingface_hub's.
        local_files_only: Whether to look in the cache alone, without the network.
        token: Token of the Hub; None for the one that `hf auth login` has kept.
        dtype: Dtype of the networks' arithmetic, once the float32 scores were checked; such as `"mixed_bfloat16"`. `"auto"` is
            that one where the machine computes faster in it and the preset's golden scores hold to 0.5 %, else float32.

    Raises:
        ValueError: No preset has that name, or no policy that of `dtype`.
        PresetError: A file is missing, damaged or truncated, holds what no preset may, or the scores are not those it was
            published with.
        OSError: The Hub or the cache does not give the preset.
        RuntimeError: This process was forked from one in which TensorFlow or JAX was at work.

    Examples:
        >>> detector = from_pretrained("tilted-vae-digits")
        >>> detector.score(np.zeros((2, 8, 8, 1), np.uint8)).shape
        (2,)
    """
    require_backend()
    folder = handles.resolve(
        handle, revision=revision, source=source, cache_dir=cache_dir, local_files_only=local_files_only, token=token
    )
    preset = read(folder)
    verify(folder, preset)
    drawn = safety.check(folder)
    if not isinstance(drawn.built, Detector):
        raise PresetError(f"Expected a preset of a keras_ood.Detector. Received: {type(drawn.built).__name__} in {folder}")
    try:
        with own_settings("float32"):
            detector: Detector = drawn.allocate()
            detector.load_weights(folder / WEIGHTS)
    except Exception as error:  # whatever Keras makes of a configuration that does not fit its weights
        raise safety.unbuilt(folder, error) from error
    _compare(preset, detector, folder)
    try:
        found = golden_scores(detector)
    except (OSError, RuntimeError):  # of an encoder that is not to be had here
        raise
    except Exception as error:  # of one that is another, or of whatever Keras makes of it
        raise safety.unbuilt(folder, error) from error
    expected = np.asarray(preset["golden_scores"], np.float32)
    if not _hold(found, expected, GOLDEN_TOLERANCE):
        raise PresetError(
            f"The detector in {folder} does not give its golden scores on this machine. "
            f"Expected: {expected.tolist()}. Received: {found.tolist()}"
        )
    if dtype == "auto":
        fast = detector.inference_copy("mixed_bfloat16") if fast_bfloat16() else None
        return detector if fast is None or not _hold(golden_scores(fast), expected, AUTO_TOLERANCE) else fast
    return detector if dtype is None else detector.inference_copy(dtype)


def _compare(preset: Content, detector: Detector, folder: Path) -> None:
    """Refuse a `preset.json` that describes another detector: some read it alone."""
    calibrated = detector.calibrated
    found: dict[str, Any] = {
        "family": type(detector).__name__,
        "input_shape": list(detector.image_shape),
        "default_score": detector.default_score,
        "aspect": detector.preprocessing.aspect,
    }
    if scores := detector.calibrated_scores():  # none of weights that were saved in float64
        found["calibration_size"] = {name: len(calibrated.calibration(name)) for name in scores}
    told = {"aspect": "stretch", **preset}
    for key, value in found.items():
        if told[key] != value:
            raise PresetError(
                f"A preset.json describes the detector beside it. Expected {key}: {value}. Received: {told[key]} in {folder}"
            )


def _hold(found: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    """Whether scores are those expected, to a part of the largest one."""
    if found.shape != expected.shape:
        return False
    return bool(np.max(np.abs(found - expected)) <= tolerance * np.max(np.abs(expected), initial=0.0))
