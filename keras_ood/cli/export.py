"""The command that writes a detector for other runtimes."""

from pathlib import Path
from typing import Annotated

import typer

from keras_ood.cli.computing import computing, load
from keras_ood.cli.console import Json, Method, Model, show


def export(
    model: Model,
    out_path: Annotated[
        Path, typer.Argument(help="A .onnx, .tflite or .xml file, or a folder for a TensorFlow SavedModel.", metavar="OUT")
    ],
    method: Method = None,
    format_name: Annotated[
        str | None,
        typer.Option("--format", "-f", help="onnx, litert, openvino or tf_saved_model; by the ending of OUT where not given."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a detector with its calibration for another runtime: ONNX, LiteRT, OpenVINO, TensorFlow.

    Example: keras-ood export tilted-vae-digits detector.onnx
    """
    with computing():
        from keras_ood.export.export import format_of
        from keras_ood.export.formats import FORMATS

        detector = load(model)
        path = detector.export(out_path, format_name, method=method)
        name = format_of(path, format_name)
        value = {"preset": model, "path": str(path), "format": name, "score": method or detector.default_score}
        outputs = "score, p_value, flag and heat_map" if detector.calibrated.has_maps else "score, p_value and flag"
        inputs = f"uint8 images (batch, {', '.join(map(str, detector.image_shape))}) and a float32 fpr, such as 0.05,"
        written = f"Wrote {path}: {inputs} to {outputs}"
        show(value, as_json, lambda: written, FORMATS[name].usage.format(path=str(path)))
