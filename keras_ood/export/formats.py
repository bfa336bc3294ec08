"""The files that other runtimes read: how each format is written, and how its own runtime runs it."""

import importlib.util
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

Outputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        suffix: Of the path.
        backends: Keras backends that can write it.
        packages: That writing and running it import.
        write: From a model of `(batch, *image_shape)` uint8 `images`, the path and some metadata, where the format has room.
        run: From the path and images to the outputs by name, computed by the format's own runtime.
        usage: The same as a line of Python for users, `images` to `score` and `p_value` or to `outputs` of these names.
    """

    suffix: str
    backends: tuple[str, ...]
    packages: tuple[str, ...]
    write: Callable[[keras.Model, tuple[int, ...], Path, Mapping[str, str]], None]
    run: Callable[[Path, np.ndarray], Outputs]
    usage: str

    def require_packages(self) -> None:
        """Raise a `RuntimeError` that says how to install what is missing."""
        missing = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if missing:
            raise RuntimeError(f"This export needs the packages {', '.join(missing)}: pip install 'keras-ood[export]'")


@contextmanager
def lowered() -> Iterator[None]:
    """Let `keras.ops` on TensorFlow say what converters lack by what all of them have, with the same values.

    For the tracing of a graph; it holds for the whole process meanwhile.

    - A resize becomes two products with constant matrices, along height and width: what keras makes of the unit vectors.
    - `searchsorted` becomes a count; a flip of several axes one of each; `arctan(x)` becomes `arctan2(x, 1)`.
    """
    import tensorflow as tf

    flip, resize_image = ops.flip, ops.image.resize

    def flip_one_by_one(x: Any, axis: Any = None) -> Any:
        for one in axis if isinstance(axis, tuple) else (axis,):
            x = flip(x, one)
        return x

    def resize(images: Any, size: tuple[int, int], *settings: Any, **options: Any) -> Any:
        def matrix(before: int, after: int) -> np.ndarray:
            with tf.init_scope():  # now, not in the graph
                unit_vectors = ops.eye(before)[None, :, None, :]
                return np.asarray(resize_image(unit_vectors, (after, 1), *settings, **options)[0, :, 0, :])

        (height, width), (_, old_height, old_width, channels) = size, images.shape
        rows = ops.matmul(matrix(old_height, height), ops.reshape(images, (-1, old_height, old_width * channels)))
        return ops.matmul(matrix(old_width, width), ops.reshape(rows, (-1, height, old_width, channels)))

    def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Any:
        values = values[..., None]
        return ops.sum(ops.cast(sorted_sequence <= values if side == "right" else sorted_sequence < values, "int32"), axis=-1)

    replaced: list[tuple[Any, str, Any]] = [
        (ops, "flip", flip_one_by_one),
        (ops, "searchsorted", searchsorted),
        (ops, "arctan", lambda x: ops.arctan2(x, ops.ones_like(x))),
        (ops.image, "resize", resize),
    ]
    before = [getattr(module, name) for module, name, _ in replaced]
    try:
        for module, name, function in replaced:
            setattr(module, name, function)
        yield
    finally:
        for (module, name, _), function in zip(replaced, before, strict=True):
            setattr(module, name, function)


def _keras_export(model: keras.Model, image_shape: tuple[int, ...], path: Path, format: str, **options: Any) -> None:
    signature = [keras.layers.InputSpec(shape=(None, *image_shape), dtype="uint8", name="images")]
    model.export(str(path), format=format, verbose=False, input_signature=signature, **options)


def _write_saved_model(model: keras.Model, image_shape: tuple[int, ...], path: Path, metadata: Mapping[str, str]) -> None:
    options: dict[str, Any] = {}
    if keras.backend.backend() == "jax":
        options = {
            "is_static": True,  # scoring changes no variable
            "jax2tf_kwargs": {"with_gradient": False, "native_serialization_platforms": ("cpu", "cuda")},
        }
    _keras_export(model, image_shape, path, "tf_saved_model", **options)


def _run_saved_model(path: Path, images: np.ndarray) -> Outputs:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    return {name: value.numpy() for name, value in loaded.serve(tf.constant(images)).items()}


def _write_onnx(model: keras.Model, image_shape: tuple[int, ...], path: Path, metadata: Mapping[str, str]) -> None:
    import onnx

    with lowered():
        _keras_export(model, image_shape, path, "onnx")
    content = onnx.load(path)
    outputs = {output.name: output for output in content.graph.output}
    del content.graph.output[:]
    content.graph.output.extend([outputs["score"], outputs["p_value"]])
    for value in (*content.graph.input, *content.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.helper.set_model_props(content, dict(metadata))
    onnx.save(content, path)


def _run_onnx(path: Path, images: np.ndarray) -> Outputs:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": images}), strict=True))


def _write_litert(model: keras.Model, image_shape: tuple[int, ...], path: Path, metadata: Mapping[str, str]) -> None:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        with lowered():
            _keras_export(model, image_shape, Path(folder), "tf_saved_model")
        path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())


def _run_litert(path: Path, images: np.ndarray) -> Outputs:
    from ai_edge_litert.interpreter import Interpreter

    return dict(Interpreter(str(path)).get_signature_runner()(images=images))


def _write_openvino(model: keras.Model, image_shape: tuple[int, ...], path: Path, metadata: Mapping[str, str]) -> None:
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        _write_onnx(model, image_shape, Path(folder, "model.onnx"), metadata)
        content = openvino.Core().read_model(Path(folder, "model.onnx"))
        openvino.save_model(content, path, compress_to_fp16=False)


def _run_openvino(path: Path, images: np.ndarray) -> Outputs:
    import openvino

    # On processors that have it OpenVINO computes in bfloat16, unless told otherwise.
    compiled = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return {output.get_any_name(): value for output, value in compiled(images).items()}


FORMATS: dict[str, Format] = {
    "onnx": Format(
        ".onnx",
        ("tensorflow",),
        ("onnx", "tf2onnx", "onnxruntime"),
        _write_onnx,
        _run_onnx,
        "import onnxruntime; score, p_value = onnxruntime.InferenceSession({path!r}).run(None, {{'images': images}})",
    ),
    "litert": Format(
        ".tflite",
        ("tensorflow",),
        ("ai_edge_litert",),
        _write_litert,
        _run_litert,
        "import ai_edge_litert.interpreter as lite; outputs = lite.Interpreter({path!r}).get_signature_runner()(images=images)",
    ),
    "openvino": Format(
        ".xml",
        ("tensorflow",),
        ("onnx", "tf2onnx", "openvino"),
        _write_openvino,
        _run_openvino,
        "import openvino; outputs = openvino.compile_model({path!r}, 'CPU', {{'INFERENCE_PRECISION_HINT': 'f32'}})(images)",
    ),
    "tf_saved_model": Format(
        "",
        ("tensorflow", "jax"),
        ("tensorflow",),
        _write_saved_model,
        _run_saved_model,
        "import tensorflow as tf; model = tf.saved_model.load({path!r}); outputs = model.serve(images)",
    ),
}
"""By Keras' names."""
