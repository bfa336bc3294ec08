"""Detectors to preset folders and back."""

import os
import random
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np

from keras_ood.hub import safety
from keras_ood.hub.content import Content
from keras_ood.hub.preset import FORMAT, GOLDEN, drafted, seal


def save(detector: Any, folder: str | os.PathLike[str], provenance: dict[str, Any]) -> None:
    """Write `detector` as a preset folder; see `Detector.save_pretrained`."""
    with drafted(Path(folder)) as draft:
        write(detector, draft, provenance)


def write(detector: Any, folder: Path, provenance: dict[str, Any]) -> None:
    """Write `detector` into a folder that holds nothing but what was measured of it: files of `preset.FILES`, sealed with it.

    `config.json`, `metadata.json` and `model.weights.h5` are what `keras.saving.load_model(folder)` reads.

    Raises:
        PresetError: The detector could not be loaded again.
    """
    keras.saving.save_model(detector.inference_copy("float32"), folder, zipped=False, overwrite=True)
    if (folder / "assets").is_dir():  # Keras leaves it empty
        (folder / "assets").rmdir()
    seal(folder, cast(Content, {**describe(detector), **provenance}))
    state = random.getstate()
    try:
        safety.check(folder)  # what could not be loaded again is refused now
    finally:
        random.setstate(state)  # it seeds Keras' initializers, and nothing was made that lasts


def describe(detector: Any) -> Content:
    """Return what a detector itself knows of its preset."""
    exact = detector if detector.compute_dtype == "float32" else detector.inference_copy("float32")  # as it will be loaded
    calibrated = detector.calibrated  # once: each time all weights are looked at
    space = detector.feature_space
    content: Content = {
        "format": FORMAT,
        "code_version": version("keras-ood"),
        "family": type(detector).__name__,
        "input_shape": list(detector.image_shape),
        "parameters": sum(int(np.prod(weight.shape)) for weight in detector.trainable_weights),
        "default_score": detector.default_score,
        "calibration_size": {name: len(calibrated.calibration(name)) for name in detector.calibrated_scores()},
        "golden_scores": [float(score) for score in golden_scores(exact)],
    }
    if detector.preprocessing.aspect != "stretch":
        content |= {"aspect": detector.preprocessing.aspect}
    if detector.calibrated.has_maps:
        content |= {"map_calibration": len(detector.calibrated.maps)}
    return content if space is None else content | {"encoder": space.encoder.provenance()}


def golden_scores(detector: Any) -> np.ndarray:
    """Return the scores of eight fixed synthetic images of the detector's own size, made without a generator.

    The default score; `nll`, where that one is not fitted yet.
    """
    height, width, channels = detector.image_shape
    image, row, column, channel = np.ogrid[:GOLDEN, :height, :width, :channels]
    pattern = 37 * image + (image + 3) * column + (2 * image + 5) * row + 11 * channel
    images = (pattern % 256).astype(np.float32) / 255  # as image files come: the pass of the first one is compiled then
    detector.statistics(images, progress=False)  # a pass that is compiled anyway says which statistics there are, and so scores
    method = detector.default_score if detector.default_score in detector.ready_scores() else "nll"
    return np.asarray(detector.score(images, method, progress=False))
