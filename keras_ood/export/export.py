"""A detector, one score and its calibration as a file that another runtime reads: images in, scores, p-values and flags out."""

import os
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_ood import scores
from keras_ood.calibration import NOMINAL_FPR
from keras_ood.calibration.calibrated_scores import CalibratedScores
from keras_ood.calibration.conformal import Calibration
from keras_ood.export.calibrated_pass import CalibratedPass
from keras_ood.export.formats import FORMATS, Format, Runtime
from keras_ood.export.input_shape import InputShape, checked
from keras_ood.export.precision import Precision
from keras_ood.export.verify import examples, verify, verify_order


def exportable(detector: Any) -> list[str]:
    """Return the names of the scores that a detector can export: functions of its one pass."""
    return [name for name in scores.available(detector) if not scores.get(name).measures]


def export(
    detector: Any,
    calibrated: CalibratedScores,
    path: str | os.PathLike[str],
    format: str | None = None,
    method: str | None = None,
    image_shape: Any = None,
    precision: str = "float32",
    calibration: Any = None,
) -> Path:
    """Write a detector for another runtime, see `Detector.export`; `calibrated` is what it keeps of its scores."""
    path = Path(path)
    chosen = FORMATS[name := format_of(path, format)]
    _check_target(path, is_folder=not chosen.suffix)
    score = scores.get(method or detector.default_score)
    if score.name not in exportable(detector):
        raise ValueError(
            f"Scores that are functions of one pass can be exported, of this {type(detector).__name__}: "
            f"{exportable(detector)}. Received: {score.name!r}"
        )
    shape = checked(detector.image_shape if image_shape is None else image_shape)
    if precision not in chosen.policies:
        raise ValueError(f"`precision` of the format {name!r} must be one of {list(chosen.policies)}. Received: {precision!r}")
    settled = Precision.of(precision, calibration, shape, detector.preprocessing)
    chosen.require_packages()
    exact = _in(detector, "float32")
    reduced = _in(exact, chosen.policies[precision])
    calibrated_pass = CalibratedPass(reduced, score, calibrated, with_maps=precision == "float32")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:  # on the same disk
        made, settling = Path(folder, "made"), Path(folder, "settling")
        made.mkdir()
        settling.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the converters'; what they wrote is run and compared
            if settled.batches:
                run = _written(chosen, calibrated_pass, shape, settling / path.name, settled)
                found = np.concatenate([run(batch, NOMINAL_FPR)["score"] for batch in settled.batches])[settled.first]
                batches = (batch for batch in settled.batches)
                verify_order(found, exact.score(batches, score.name, progress=False)[settled.first])
                calibrated_pass.calibration = Calibration(found[1::2] if score.fits else found)
            run = _written(chosen, calibrated_pass, shape, made / path.name, settled)
            for images in examples(shape, detector.image_shape):
                expected = exact.score(images, score.name, progress=False) if precision == "float32" else None
                maps = None if calibrated_pass.maps is None else exact.fine_map(images, progress=False)
                verify(run(images, NOMINAL_FPR), expected, maps, calibrated_pass)
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


def _in(detector: Any, policy: str) -> Any:
    return detector if detector.dtype_policy.name == policy else detector.inference_copy(policy)


def _written(format: Format, calibrated_pass: CalibratedPass, shape: InputShape, path: Path, precision: Precision) -> Runtime:
    """Write a file, which says what it is where the format has room, and return what runs it."""
    metadata = {
        "keras_ood": version("keras-ood"),
        "detector": type(calibrated_pass.detector).__name__,
        "score": calibrated_pass.score.name,
        "precision": precision.name,
        "calibration_size": str(len(calibrated_pass.calibration)),
        "aspect": calibrated_pass.detector.preprocessing.aspect,
    }
    if calibrated_pass.maps is not None:
        metadata["map_calibration_size"] = str(len(calibrated_pass.maps))
    format.write(calibrated_pass, shape, path, metadata, precision)
    return format.load(path)
