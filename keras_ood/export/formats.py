"""The files that other runtimes read: how each format is written, and how its own runtime runs it."""

import importlib.util
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_ood.export.input_shape import InputShape
from keras_ood.export.precision import PRECISIONS, Precision, quantise
from keras_ood.export.resizing import use_products

Outputs = dict[str, np.ndarray]
OUTPUTS = ("score", "p_value", "flag", "heat_map")


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        suffix: Suffix of the path.
        backends: Keras backends that can write it.
        packages: Packages that writing and running it import.
        precisions: In which its networks can compute.
        float16_policy: Keras' dtype policy of the detector that is written as float16; `"float32"` where the format's own
            converter changes the numbers.
        write: Function of a model of `(batch, *image_shape)` uint8 `images` and a float32 `fpr`, the image shape, the path,
            some metadata, which are written where the format has room, and the precision.
        run: Function from the path, images and a false positive rate to the outputs by name, computed by the format's own
            runtime.
        usage: `run` as a line of Python for users, `images` and `fpr`, an `np.array(0.05, np.float32)`, to `outputs`.
    """

    suffix: str
    backends: tuple[str, ...]
    packages: tuple[str, ...]
    precisions: tuple[str, ...]
    float16_policy: str
    write: Callable[[keras.Model, InputShape, Path, Mapping[str, str], Precision], None]
    run: Callable[[Path, np.ndarray, float], Outputs]
    usage: str

    def require_packages(self) -> None:
        """Raise a `RuntimeError` that says how to install what is missing."""
        missing = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if missing:
            raise RuntimeError(f"This export needs the packages {', '.join(missing)}: pip install 'keras-ood[export]'")


def _keras_export(model: keras.Model, image_shape: InputShape, path: Path, format: str, **options: Any) -> None:
    images = keras.layers.InputSpec(shape=(None, *image_shape), dtype="uint8", name="images")
    signature = {"images": images, "fpr": keras.layers.InputSpec(shape=(), dtype="float32", name="fpr")}
    with use_products(model):
        model.export(str(path), format=format, verbose=False, input_signature=[signature], **options)


def _write_saved_model(model: keras.Model, image_shape: InputShape, path: Path, metadata: Mapping[str, str], precision: Precision
) -> None:
    options: dict[str, Any] = {}
    if keras.backend.backend() == "jax":
        options = {
            "is_static": True,  # scoring changes no variable
            "jax2tf_kwargs": {"with_gradient": False, "native_serialization_platforms": ("cpu", "cuda")},
        }
    _keras_export(model, image_shape, path, "tf_saved_model", **options)


def _run_saved_model(path: Path, images: np.ndarray, fpr: float) -> Outputs:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    return {name: value.numpy() for name, value in loaded.serve({"images": images, "fpr": np.array(fpr, np.float32)}).items()}


def _write_onnx(model: keras.Model, image_shape: InputShape, path: Path, metadata: Mapping[str, str], precision: Precision
) -> None:
    import onnx

    _keras_export(model, image_shape, path, "onnx")
    content = onnx.load(path)
    outputs = {output.name: output for output in content.graph.output}
    del content.graph.output[:]
    content.graph.output.extend(outputs[name] for name in OUTPUTS if name in outputs)
    for value in (*content.graph.input, *content.graph.output):
        if value.name != "fpr":
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.helper.set_model_props(content, dict(metadata))
    onnx.save(content, path)
    if precision.name == "int8":
        quantise(path, model, precision)


def _run_onnx(path: Path, images: np.ndarray, fpr: float) -> Outputs:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": images, "fpr": np.array(fpr, np.float32)}), strict=True))


def _write_litert(model: keras.Model, image_shape: InputShape, path: Path, metadata: Mapping[str, str], precision: Precision
) -> None:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        _keras_export(model, image_shape, Path(folder), "tf_saved_model")
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if precision.name != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision.name == "float16":
            converter.target_spec.supported_types = [tf.float16]
        path.write_bytes(converter.convert())


def _run_litert(path: Path, images: np.ndarray, fpr: float) -> Outputs:
    from ai_edge_litert.interpreter import Interpreter

    return dict(Interpreter(str(path)).get_signature_runner()(images=images, fpr=np.array(fpr, np.float32)))


def _write_openvino(model: keras.Model, image_shape: InputShape, path: Path, metadata: Mapping[str, str], precision: Precision
) -> None:
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        _write_onnx(model, image_shape, Path(folder, "model.onnx"), metadata, precision)
        content = openvino.Core().read_model(Path(folder, "model.onnx"))
        openvino.save_model(content, path, compress_to_fp16=False)


def _run_openvino(path: Path, images: np.ndarray, fpr: float) -> Outputs:
    import openvino

    # On processors that have it OpenVINO computes in bfloat16, unless told otherwise.
    compiled = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    inputs = {"images": images, "fpr": np.array(fpr, np.float32)}
    return {output.get_any_name(): value for output, value in compiled(inputs).items()}


FORMATS: dict[str, Format] = {
    "onnx": Format(
        ".onnx",
        ("tensorflow",),
        ("onnx", "tf2onnx", "onnxruntime"),
        PRECISIONS,
        "mixed_float16",
        _write_onnx,
        _run_onnx,
        "import onnxruntime as onnx; inputs = {{'images': images, 'fpr': fpr}}; "
        "score, p_value, flag, *_ = onnx.InferenceSession({path!r}).run(None, inputs)",
    ),
    "litert": Format(
        ".tflite",
        ("tensorflow",),
        ("ai_edge_litert",),
        PRECISIONS,
        "float32",
        _write_litert,
        _run_litert,
        "import ai_edge_litert.interpreter as lite; "
        "outputs = lite.Interpreter({path!r}).get_signature_runner()(images=images, fpr=fpr)",
    ),
    "openvino": Format(
        ".xml",
        ("tensorflow",),
        ("onnx", "tf2onnx", "onnxruntime", "openvino"),
        PRECISIONS,
        "mixed_float16",
        _write_openvino,
        _run_openvino,
        "import openvino; model = openvino.compile_model({path!r}, 'CPU', {{'INFERENCE_PRECISION_HINT': 'f32'}}); "
        "outputs = model({{'images': images, 'fpr': fpr}})",
    ),
    "tf_saved_model": Format(
        "",
        ("tensorflow", "jax"),
        ("tensorflow",),
        ("float32",),
        "float32",
        _write_saved_model,
        _run_saved_model,
        "import tensorflow as tf; model = tf.saved_model.load({path!r}); "
        "outputs = model.serve({{'images': images, 'fpr': fpr}})",
    ),
}
"""By Keras' names."""
