"""A detector, one score and its calibration as a file that another runtime reads: images in, scores, p-values and flags out."""

import os
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ood import scores
from keras_ood.calibration import NOMINAL_FPR
from keras_ood.calibration.calibrated_scores import CalibratedScores
from keras_ood.export.formats import FORMATS, Outputs
from keras_ood.images.preprocessing import Preprocessing, interpolate
from keras_ood.scores import Fit, Score

TOLERANCE = 1e-4  # of a score, relative to the largest |score| or 1


class CalibratedPass(keras.Model):  # type: ignore[misc]
    """A detector's pass, a score of it, its calibration: from images and a false positive rate to decisions.

    `{"images": (batch, height, width, channels) uint8, "fpr": () float32}` to `{"score": (batch,) float32, "p_value": (batch,)
    float32, "flag": (batch,) bool}`; flagged is where the p-value is at most `fpr`.

    Where the detector's maps are calibrated there is `"heat_map"`, too, float32 `(batch, height, width)`.

    Args:
        detector: A `keras_ood.Detector` with float32 networks.
        score: A function of the detector's one pass.
        calibrated: What the detector keeps of its scores.

    Raises:
        NotCalibratedError: It keeps nothing of this one.
        ValueError: It was calibrated with stochastic passes.
    """

    def __init__(self, detector: Any, score: Score, calibrated: CalibratedScores) -> None:
        super().__init__(name="calibrated_pass")
        self.detector, self.score = detector, score
        self.calibration = calibrated.calibration(score.name)
        calibrated.passes(score.name, {"samples": None})  # refuses one of stochastic passes: this is the deterministic one
        fit = calibrated.fit_of(score)
        self.maps = calibrated.maps if calibrated.has_maps else None
        self.fitted = Fit(fit.statistics, {name: np.asarray(array, np.float32) for name, array in fit.arrays.items()})
        self.built = True

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return scores, conformal p-values, flags and heat maps of uint8 images, at a false positive rate."""
        images = inputs["images"]
        found = self.score.formula(self.fitted.select(self.detector(images, training=False)), self.fitted.arrays, ops)
        p_values = self.calibration.p_values_of_tensors(found)
        decided = {"score": found, "p_value": p_values, "flag": p_values <= inputs["fpr"]}
        if self.maps is None:
            return decided
        standardised = self.maps.standardised(self.detector.position_scores(self.detector.entrance.closely(images)))
        fine = interpolate(standardised[..., None], self.detector.image_shape[:2])[..., 0]
        return decided | {"heat_map": self.maps.p_values_of_tensors(fine)}


def exportable(detector: Any) -> list[str]:
    """Return the names of the scores that a detector can export: functions of its one pass."""
    return [name for name in scores.available(detector) if not scores.get(name).measures]


def export(
    detector: Any,
    calibrated: CalibratedScores,
    path: str | os.PathLike[str],
    format: str | None = None,
    method: str | None = None,
    image_shape: tuple[int, int, int] | None = None,
) -> Path:
    """Write a detector for another runtime, see `Detector.export`; `calibrated` is what it keeps of its scores."""
    path = Path(path)
    chosen = FORMATS[format_of(path, format)]
    _check_target(path, is_folder=not chosen.suffix)
    score = scores.get(method or detector.default_score)
    if score.name not in exportable(detector):
        raise ValueError(
            f"Scores that are functions of one pass can be exported, of this {type(detector).__name__}: "
            f"{exportable(detector)}. Received: {score.name!r}"
        )
    shape = Preprocessing(image_shape or detector.image_shape).image_shape
    exact = detector if detector.compute_dtype == "float32" else detector.inference_copy("float32")
    calibrated_pass = CalibratedPass(exact, score, calibrated)
    chosen.require_packages()
    metadata = {
        "keras_ood": version("keras-ood"),
        "detector": type(detector).__name__,
        "score": score.name,
        "calibration_size": str(len(calibrated_pass.calibration)),
    }
    if calibrated_pass.maps is not None:
        metadata["map_calibration_size"] = str(len(calibrated_pass.maps))
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:  # on the same disk
        made = Path(folder, "made")
        made.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the converters'; what they wrote is run and compared
            chosen.write(calibrated_pass, shape, made / path.name, metadata)
            images = _examples(shape, detector.image_shape)
            outputs = chosen.run(made / path.name, images, NOMINAL_FPR)
        maps = None if calibrated_pass.maps is None else exact.fine_map(images, progress=False)
        _verify(outputs, exact.score(images, score.name, progress=False), maps, calibrated_pass)
        if path.is_dir():
            path.rename(Path(folder, "replaced"))
        for file in sorted(made.iterdir()):  # weights (.bin) before the graph that goes with them (.xml)
            file.replace(path.parent / file.name)
    return path


def format_of(path: Path, format: str | None = None) -> str:
    """Return the name of the format that is asked for, by its name or by the path's suffix.

    Raises:
        ValueError: There is none such, or the backend does not write it.
    """
    if format is None:
        by_suffix = {known.suffix: name for name, known in FORMATS.items()}
        if path.suffix not in by_suffix:
            endings = ", ".join(f"{suffix or 'none'} ({name})" for suffix, name in by_suffix.items())
            raise ValueError(f"The path's suffix must be one of {endings}, or `format` given. Received: {str(path)!r}")
        format = by_suffix[path.suffix]
    if format not in FORMATS:
        raise ValueError(f"`format` must be None or one of {list(FORMATS)}. Received: {format!r}")
    backend = keras.backend.backend()
    if backend not in FORMATS[format].backends:
        here = [name for name, known in FORMATS.items() if backend in known.backends]
        raise ValueError(
            f"On the {backend} backend a detector is exported as one of {here}; with KERAS_BACKEND=tensorflow, which loads the "
            f"same presets, as one of {list(FORMATS)}. Received: {format!r}"
        )
    if format == "openvino" and path.suffix != ".xml":  # the one runtime that looks at the name
        raise ValueError(f"An OpenVINO model is a .xml file, its weights a .bin file beside it. Received: {str(path)!r}")
    return format


def _check_target(path: Path, is_folder: bool) -> None:
    if not path.parent.is_dir():
        raise FileNotFoundError(f"An export goes into a folder that exists. Received: {path}")
    if path.is_dir() and not is_folder:
        raise IsADirectoryError(f"This format is a file. Received: the folder {path}")
    if is_folder and path.exists() and not (path / "saved_model.pb").is_file():
        raise FileExistsError(f"A folder is replaced if it is a SavedModel, nothing else. Received: {path}")


def _examples(image_shape: tuple[int, int, int], own_shape: tuple[int, int, int]) -> np.ndarray:
    """Eight uint8 images of noise, from a black one to full contrast, as coarse as the detector's own pixels.

    (Finer noise is grey to the detector, and the contrast of an image without contrast is made of rounding.)
    """
    height, width, channels = image_shape
    noise = np.random.default_rng(0).random((8, *own_shape[:2], channels)) * np.linspace(0, 256, 8)[:, None, None, None]
    rows, columns = np.arange(height) * own_shape[0] // height, np.arange(width) * own_shape[1] // width
    return noise[:, rows][:, :, columns].astype(np.uint8)


def _verify(outputs: Outputs, expected: np.ndarray, maps: np.ndarray | None, calibrated_pass: CalibratedPass) -> None:
    """Raise a `RuntimeError` unless the runtime gives the detector's scores, and p-values, flags and maps that go with them.

    Scores at pixels are none of the outputs: theirs are the p-values between which these scores lie, up to `TOLERANCE`.
    """
    tolerance = TOLERANCE * max(1.0, float(np.max(np.abs(expected))))
    p_values = calibrated_pass.calibration.p_values(outputs["score"])
    limits = {
        "score": (expected - tolerance, expected + tolerance),
        "p_value": (p_values - TOLERANCE, p_values + TOLERANCE),
        "flag": (flags := outputs["p_value"] <= np.float32(NOMINAL_FPR), flags),
    }
    if maps is not None and calibrated_pass.maps is not None:
        around = TOLERANCE * max(1.0, float(np.max(np.abs(maps))))
        least, most = (calibrated_pass.maps.p_values(maps + step) for step in (around, -around))
        limits["heat_map"] = (least - TOLERANCE, most + TOLERANCE)
    for name, (least, most) in limits.items():
        found = outputs[name]
        if np.any(outside := ~((least <= found) & (found <= most))):
            place = np.argmax(outside)
            raise RuntimeError(
                f"The exported model does not give the detector's {name} in its runtime; nothing was written. "
                f"Expected: {least.flat[place]:g} to {most.flat[place]:g}. Received: {found.flat[place]:g}"
            )
