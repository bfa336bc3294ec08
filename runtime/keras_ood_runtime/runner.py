"""An exported detector, asked as the detector was."""

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

from keras_ood_runtime.decoding import Decoding
from keras_ood_runtime.image_files import ImageFiles
from keras_ood_runtime.image_warning import ImageWarning

ACCEPTED = (
    "images as a NumPy array (batch, height, width, 1 or 3), uint8 or float32 in 0..1, an image file, a folder, an "
    "`ImageFiles`, or a list of paths, PIL images and arrays (height, width, 1 or 3)"
)
_NUMBERS = 1 << 24  # of a batch of large images, at most


class Runner:
    """A detector that `Detector.export` wrote as ONNX, run by ONNX Runtime.

    Every method takes the same images, keeps their order and holds one batch in memory. Image files are read by keras-ood's
    own code: upright, transparent pixels on white, first frames. What has more than 8 bits is rounded to them, with a warning:
    an export takes uint8.

    Args:
        path: The ONNX file.
        providers: ONNX Runtime's execution providers, in the order in which they are tried.

    Attributes:
        metadata: What the file says of itself, strings by name: `detector`, `score`, `precision`, `calibration_size`, ...
        image_shape: `(height, width, channels)` of the images that it takes; height and width None for any.
        outputs: What it gives: `score`, `p_value`, `flag`, and `heat_map` where the detector's maps were calibrated.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no export of keras-ood.
    """

    def __init__(self, path: str | os.PathLike[str], providers: Sequence[str] = ("CPUExecutionProvider",)) -> None:
        if not os.path.isfile(path):
            raise FileNotFoundError(f"Expected an ONNX file that keras-ood exported. Received: {path}, no file")
        try:
            self._session = onnxruntime.InferenceSession(os.fspath(path), providers=list(providers))
        except Exception as error:  # its own kinds, which have no base but this one
            raise ValueError(f"Expected an ONNX file that keras-ood exported. Received: {path} ({error})") from error
        inputs = {value.name: value.shape for value in self._session.get_inputs()}
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        self.outputs = tuple(value.name for value in self._session.get_outputs())
        if (
            set(inputs) != {"images", "fpr"}
            or len(inputs["images"]) != 4
            or not {"score", "p_value", "flag"} <= set(self.outputs)
            or not {"score", "precision", "calibration_size"} <= set(self.metadata)
        ):
            raise ValueError(
                f"Expected an ONNX file that keras-ood exported. Received: {path}, from {inputs} to {list(self.outputs)}"
            )
        height, width, self._channels = inputs["images"][1:]
        self.image_shape = (*(size if isinstance(size, int) else None for size in (height, width)), self._channels)

    def score(self, images: Any, batch_size: int = 32) -> np.ndarray:
        """Return `(N,)` float32 scores, higher = more out-of-distribution.

        Args:
            images: See `ACCEPTED`.
            batch_size: Images per pass, at most; large ones are fewer.

        Raises:
            ValueError: Images that are not accepted.
        """
        return np.concatenate([found["score"] for found in self.iterate(images, ["score"], batch_size)])

    def p_values(self, images: Any, batch_size: int = 32) -> np.ndarray:
        """Return `(N,)` float32 conformal p-values; small = out-of-distribution. Arguments as of `score`."""
        return np.concatenate([found["p_value"] for found in self.iterate(images, ["p_value"], batch_size)])

    def detect(self, images: Any, fpr: float = 0.05, batch_size: int = 32) -> np.ndarray:
        """Return `(N,)` booleans: flagged as out-of-distribution, of in-distribution images at most a share `fpr`.

        Raises:
            ValueError: A rate that the calibration cannot promise, or images that are not accepted.
        """
        return np.concatenate([found["flag"] for found in self.iterate(images, ["flag"], batch_size, fpr)])

    def heat_map(self, images: Any, batch_size: int = 32) -> np.ndarray:
        """Return p-values at every pixel, float32 `(N, height, width)` of the detector's own image shape; small = odd there.

        Raises:
            ValueError: The export has no maps, or images that are not accepted.
        """
        return np.concatenate([found["heat_map"] for found in self.iterate(images, ["heat_map"], batch_size)])

    def iterate(
        self, images: Any, outputs: Sequence[str] | None = None, batch_size: int = 32, fpr: float = 0.05
    ) -> Iterator[dict[str, np.ndarray]]:
        """Yield the outputs of one batch after the other, by name: `score`, `p_value`, `flag`, `heat_map`; None for all.

        Raises:
            ValueError: Outputs that the export does not have, a batch size that is none, a rate that the calibration cannot
                promise, or images that are not accepted.
        """
        if not (isinstance(batch_size, int) and batch_size >= 1):
            raise ValueError(f"`batch_size` must be a positive integer. Received: {batch_size!r}")
        least = 1 / (int(self.metadata["calibration_size"]) + 1)
        if not least <= fpr <= 1:
            raise ValueError(
                f"`fpr` must lie between {least:.3g}, the least that the calibration bears, and 1. Received: {fpr!r}"
            )
        names = list(self.outputs if outputs is None else outputs)
        if not set(names) <= set(self.outputs):
            raise ValueError(
                f"This export gives {list(self.outputs)}; heat maps are of detectors whose maps were calibrated "
                f"(`detector.calibrate_maps`) before an export in float32. Received: {names}, of an export in "
                f"{self.metadata['precision']}"
            )
        return self._iterate(images, names, batch_size, np.array(fpr, np.float32))

    def _iterate(self, images: Any, names: list[str], batch_size: int, fpr: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        empty = True
        for shape, alike in groupby((self._fitting(image) for image in _each(images)), lambda image: image.shape):
            few = max(1, min(batch_size, _NUMBERS // int(np.prod(shape))))
            while batch := list(islice(alike, few)):
                empty = False
                found = self._run(names, np.stack(batch), fpr)
                yield dict(zip(names, found, strict=True))
        if empty:
            raise ValueError(f"Expected {ACCEPTED}. Received: no image")

    def _run(self, names: list[str], images: np.ndarray, fpr: np.ndarray) -> list[Any]:
        try:
            return list(self._session.run(names, {"images": images, "fpr": fpr}))
        except Exception as error:  # as above
            raise ValueError(f"ONNX Runtime could not run the export. Received: {error}") from error

    def _fitting(self, image: np.ndarray) -> np.ndarray:
        """One image with as many channels as the model takes."""
        if image.shape[-1] == 1 and self._channels == 3:
            image = np.repeat(image, 3, axis=-1)
        if any(wanted not in (None, given) for wanted, given in zip(self.image_shape, image.shape, strict=True)):
            raise ValueError(
                f"This export takes images of {self.image_shape}; `export(..., image_shape=(None, None, 3))` makes one that "
                f"takes all. Received: an image of {image.shape}"
            )
        return image


def _each(images: Any) -> Iterator[np.ndarray]:
    """Yield the images of a source, each uint8 `(height, width, 1 or 3)`."""
    if isinstance(images, (str, os.PathLike)):
        images = ImageFiles(images)
    elif isinstance(images, Image.Image):
        images = [images]
    elif not isinstance(images, Iterable):
        raise ValueError(f"Expected {ACCEPTED}. Received: {type(images).__name__}")
    warned = False
    for item in images:
        for image in _read(item):
            if image.dtype != np.uint8 and not warned:
                warnings.warn("Images of more than 8 bits are rounded to 8: exports take uint8", ImageWarning, stacklevel=2)
                warned = True
            yield image if image.dtype == np.uint8 else np.rint(255 * image).astype(np.uint8)


def _read(item: Any) -> Iterable[np.ndarray]:
    """Return the images of an item of a source: uint8, or float32 in 0..1 where a file has more than 8 bits."""
    if isinstance(item, (str, os.PathLike)):
        return ImageFiles(item)
    if isinstance(item, Image.Image):
        return [Decoding().image(item)]
    shape: tuple[int, ...] = getattr(item, "shape", ())
    dtype = getattr(item, "dtype", None)
    if len(shape) != 3 or 0 in shape or shape[-1] not in (1, 3) or dtype not in (np.uint8, np.float32):
        raise ValueError(f"Expected {ACCEPTED}. Received: an image of shape {shape}, dtype {dtype}, {type(item).__name__}")
    if dtype == np.float32 and not (item.min() >= 0 and item.max() <= 1):  # nor NaN
        raise ValueError(f"Expected {ACCEPTED}. Received: floats from {item.min()} to {item.max()}")
    return [item]
