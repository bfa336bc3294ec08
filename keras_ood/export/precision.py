"""Arithmetic of fewer bits in the networks of an export: by the formats' own tools, the score's formula left in float32."""

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ood.export.input_shape import InputShape
from keras_ood.images.duplicates import Duplicates
from keras_ood.images.preprocessing import Preprocessing
from keras_ood.images.sources import iterate_batches

_BATCH = 32  # images
_RANGES = 16  # batches, at most, that the ranges of int8 are taken from: spread over all, and all are scored for the p-values
_LARGE = 1 << 14  # weights of a layer that goes to int8, at least


@dataclass(frozen=True)
class Precision:
    """How the networks of an export compute, and on which images it is settled.

    Attributes:
        name: `"float32"`, `"float16"` or `"int8"`.
        batches: Batches of uint8 in-distribution images.
        first: Indices of the different images among them.
    """

    name: str = "float32"
    batches: Sequence[np.ndarray] = ()
    first: np.ndarray = field(default_factory=lambda: np.arange(0))

    @classmethod
    def of(cls, name: str, source: Any, input_shape: InputShape, preprocessing: Preprocessing) -> "Precision":
        """Return a precision and what it is settled on: the images of any accepted source, as an exported model takes them.

        Arrays of uint8 that it takes stay as they are; others come to its size, or to the detector's where it takes any, and
        are rounded to 8 bits.

        Args:
            name: `"float32"`, `"float16"` or `"int8"`.
            source: Held-out in-distribution images; None for float32.
            input_shape: Of the exported model.
            preprocessing: The detector's.

        Raises:
            ValueError: Images are missing, or were given for float32.
        """
        if (name == "float32") != (source is None):
            raise ValueError(
                "`calibration`, held-out in-distribution images, goes with float16 and int8, whose p-values are made of their "
                f"own scores; float32 has the detector's. Received: {name!r} {'without' if source is None else 'with'} images"
            )
        if source is None:
            return cls(name)
        height, width, channels = input_shape
        size = preprocessing.image_shape[:2] if height is None or width is None else (height, width)
        fitting, duplicates = Preprocessing((*size, channels), preprocessing.aspect), Duplicates()
        batches = []
        for batch in iterate_batches(source, _BATCH, fitting):
            duplicates.add(np.asarray(ops.convert_to_numpy(preprocessing(batch))))  # as the detector sees them
            accepted = batch.dtype == np.uint8 and batch.shape[-1] == channels and None in input_shape
            batches.append(batch if accepted or _is(batch, input_shape) else _rounded(fitting(batch)))
        duplicates.warn()
        return cls(name, batches, duplicates.first)

    @property
    def ranges(self) -> Iterator[np.ndarray]:
        """Some of the batches, spread over all."""
        places = np.unique(np.linspace(0, len(self.batches) - 1, _RANGES).astype(int))
        return (self.batches[place] for place in places)


def _is(batch: np.ndarray, input_shape: InputShape) -> bool:
    return batch.dtype == np.uint8 and batch.shape[1:] == input_shape


def _rounded(images: Any) -> np.ndarray:
    return np.asarray(np.rint(255 * ops.convert_to_numpy(images)), np.uint8)


def quantise(path: Path, model: keras.Model, precision: Precision) -> None:
    """Bring the networks of an ONNX file to int8, by ONNX Runtime's static quantisation.

    Convolutions and dense layers of many weights compute in int8, weights with a scale for each channel, and everything else in
    float32: what resizes, whitens, adds up densities and ranks scores. Small layers, the first ones of an encoder among them,
    hold little of a file, and their rounding goes through all that follow.

    Args:
        path: Of the file, which is replaced.
        model: What it was made of.
        precision: With the images for the ranges of activations.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """The images, batch by batch."""

        def __init__(self) -> None:
            self.batches = precision.ranges

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch, "fpr": np.array(0.05, np.float32)}

    dense = {layer.name for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dense)}
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder, "prepared.onnx")
        quant_pre_process(path, prepared, skip_optimization=True, skip_symbolic_shape=True)
        graph = onnx.load(prepared).graph
        sizes = {weights.name: math.prod(weights.dims) for weights in graph.initializer}
        large = (node for node in graph.node if max((sizes.get(name, 0) for name in node.input), default=0) >= _LARGE)
        quantize_static(
            prepared,
            path,
            Reader(),
            op_types_to_quantize=["Conv", "MatMul"],
            nodes_to_quantize=[node.name for node in large if _of_a_network(node, dense)],
            per_channel=True,
            activation_type=QuantType.QUInt8,
        )


def _of_a_network(node: Any, dense: set[str]) -> bool:
    """Whether an ONNX node is a convolution or a dense layer; Keras' name of a layer is in its path, with a number behind."""
    layer = node.name.rpartition("/")[0].rpartition("/")[2].rpartition("_")[0]
    return node.op_type == "Conv" or (node.op_type == "MatMul" and layer in dense)
