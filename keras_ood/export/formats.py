"""The files that other runtimes read: how each format is written, and how its own runtime runs it."""

import functools
import importlib.util
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_ood.export.input_shape import InputShape
from keras_ood.export.precision import Precision, quantise
from keras_ood.export.resizing import use_products

Outputs = dict[str, np.ndarray]
Runtime = Callable[[np.ndarray, float], Outputs]
OUTPUTS = ("score", "p_value", "flag", "heat_map")


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        suffix: Suffix of the path.
        backends: Keras backends that can write it.
        packages: Packages that writing and running it import.
        policies: By precision in which its networks can compute, Keras' dtype policy of the detector that is written; float32
            where the format's own tools change the numbers.
        write: Function of a model of `(batch, *image_shape)` uint8 `images` and a float32 `fpr`, the image shape, the path,
            some metadata, which are written where the format has room, and the precision.
        load: Function from the path to one from images and a false positive rate to the outputs by name, computed by the
            format's own runtime.
        usage: `load` as a line of Python for users, `images` and `fpr`, an `np.array(0.05, np.float32)`, to `outputs`.
    """

    suffix: str
    backends: tuple[str, ...]
    packages: tuple[str, ...]
    policies: Mapping[str, str]
    write: Callable[[keras.Model, InputShape, Path, Mapping[str, str], Precision], None]
    load: Callable[[Path], Runtime]
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


def _write_saved_model(
    model: keras.Model, image_shape: InputShape, path: Path, metadata: Mapping[str, str], precision: Precision
) -> None:
    options: dict[str, Any] = {}
    if keras.backend.backend() == "jax":
        options = {
            "is_static": True,  # scoring changes no variable
            "jax2tf_kwargs": {"with_gradient": False, "native_serialization_platforms": ("cpu", "cuda")},
        }
    _keras_export(model, image_shape, path, "tf_saved_model", **options)


def _load_saved_model(path: Path) -> Runtime:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))

    def run(images: np.ndarray, fpr: float) -> Outputs:
        found = loaded.serve({"images": images, "fpr": np.array(fpr, np.float32)})
        return {name: value.numpy() for name, value in found.items()}

    return run


def _write_onnx(
    model: keras.Model, image_shape: InputShape, path: Path, metadata: Mapping[str, str], precision: Precision
) -> None:
    import onnx

    _keras_export(model, image_shape, path, "onnx")
    content = onnx.load(path)
    outputs = {output.name: output for output in content.graph.output}
    del content.graph.output[:]
    content.graph.output.extend(outputs[name] for name in OUTPUTS if name in outputs)
    for value in (*content.graph.input, *content.graph.output):
        free = [size for size in value.type.tensor_type.shape.dim if not size.HasField("dim_value")]
        for size, name in zip(free, ("batch", "height", "width"), strict=False):
            size.dim_param = name
    onnx.helper.set_model_props(content, dict(metadata))
    onnx.save(content, path)
    if precision.name == "int8":
        quantise(path, model, precision)


def _load_onnx(path: Path) -> Runtime:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(images: np.ndarray, fpr: float) -> Outputs:
        return dict(zip(names, session.run(names, {"images": images, "fpr": np.array(fpr, np.float32)}), strict=True))

    return run


def _write_litert(
    model: keras.Model, image_shape: InputShape, path: Path, metadata: Mapping[str, str], precision: Precision
) -> None:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        _keras_export(model, image_shape, Path(folder), "tf_saved_model")
        path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())


def _load_litert(path: Path) -> Runtime:
    from ai_edge_litert.interpreter import Interpreter

    serve = Interpreter(str(path)).get_signature_runner()
    return lambda images, fpr: dict(serve(images=images, fpr=np.array(fpr, np.float32)))


@functools.cache
def _openvino_core() -> Any:
    """The one core of the process, never ended.

    On processors with AVX-512 each core gives the thread that makes it a signal stack and, when it ends, puts back the one
    before: of two that do not end in the reverse order, the last puts back a stack that is freed (OpenVINO 2026.4), and the
    next signal, a Ctrl-C, ends the process.
    """
    import openvino

    return openvino.Core()


def _write_openvino(
    model: keras.Model, image_shape: InputShape, path: Path, metadata: Mapping[str, str], precision: Precision
) -> None:
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        _write_onnx(model, image_shape, Path(folder, "model.onnx"), metadata, precision)
        content = _openvino_core().read_model(Path(folder, "model.onnx"))
        openvino.save_model(content, path, compress_to_fp16=False)


def _load_openvino(path: Path) -> Runtime:
    # On processors that have it OpenVINO computes in bfloat16, unless told otherwise.
    compiled = _openvino_core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(images: np.ndarray, fpr: float) -> Outputs:
        found = compiled({"images": images, "fpr": np.array(fpr, np.float32)})
        return {output.get_any_name(): value.copy() for output, value in found.items()}

    return run


FORMATS: dict[str, Format] = {
    "onnx": Format(
        ".onnx",
        ("tensorflow",),
        ("onnx", "tf2onnx", "onnxruntime"),
        {"float32": "float32", "float16": "mixed_float16", "int8": "float32"},
        _write_onnx,
        _load_onnx,
        "import onnxruntime as onnx; inputs = {{'images': images, 'fpr': fpr}}; "
        "score, p_value, flag, *_ = onnx.InferenceSession({path!r}).run(None, inputs)",
    ),
    "litert": Format(
        ".tflite",
        ("tensorflow",),
        ("ai_edge_litert",),
        {"float32": "float32"},  # its converter rounds the calibration scores to float16 too
        _write_litert,
        _load_litert,
        "import ai_edge_litert.interpreter as lite; "
        "outputs = lite.Interpreter({path!r}).get_signature_runner()(images=images, fpr=fpr)",
    ),
    "openvino": Format(
        ".xml",
        ("tensorflow",),
        ("onnx", "tf2onnx", "onnxruntime", "openvino"),
        {"float32": "float32", "float16": "mixed_float16", "int8": "float32"},
        _write_openvino,
        _load_openvino,
        "import openvino; model = openvino.compile_model({path!r}, 'CPU', {{'INFERENCE_PRECISION_HINT': 'f32'}}); "
        "outputs = model({{'images': images, 'fpr': fpr}})",
    ),
    "tf_saved_model": Format(
        "",
        ("tensorflow", "jax"),
        ("tensorflow",),
        {"float32": "float32"},
        _write_saved_model,
        _load_saved_model,
        "import tensorflow as tf; model = tf.saved_model.load({path!r}); "
        "outputs = model.serve({{'images': images, 'fpr': fpr}})",
    ),
}
"""By Keras' names."""
