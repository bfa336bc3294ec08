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
    any_size: Annotated[
        bool, typer.Option("--any-size", help="Take images of any size, RGB, and resize them inside the model.")
    ] = False,
    precision: Annotated[
        str, typer.Option("--precision", help="Arithmetic of the networks: float32, float16 or int8.")
    ] = "float32",
    calibration: Annotated[
        Path | None,
        typer.Option(
            "--calibration",
            help="Held-out in-distribution images, a folder or .npy file, for float16 and int8: p-values are made of theirs.",
        ),
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
        shape = (None, None, 3) if any_size else detector.image_shape
        path = detector.export(
            out_path, format_name, method=method, image_shape=shape, precision=precision, calibration=calibration
        )
        name = format_of(path, format_name)
        method = method or detector.default_score
        value = {"preset": model, "path": str(path), "format": name, "score": method, "precision": precision}
        has_maps = detector.calibrated.has_maps and precision == "float32"
        outputs = "score, p_value, flag and heat_map" if has_maps else "score, p_value and flag"
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        inputs = f"uint8 images (batch, {sizes}) and a float32 fpr, such as 0.05,"
        written = f"Wrote {path}: {inputs} to {outputs}"
        show(value, as_json, lambda: written, FORMATS[name].usage.format(path=str(path)))
