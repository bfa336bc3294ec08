"""Every accepted source of images as one stream of checked batches."""

import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby, islice
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
from PIL import Image

from keras_ood.backend.devices import replicas
from keras_ood.images.array_file import DAMAGED, ArrayFile
from keras_ood.images.checks import ACCEPTED, check_images, has_images, images_of, warn_of_mask
from keras_ood.images.decoding import Decoding
from keras_ood.images.image_files import ImageFiles
from keras_ood.images.no_images import at_least_one

LARGE = 1 << 18  # numbers of an image; from smaller ones several are converted together
Item = TypeVar("Item")
Started = TypeVar("Started")


def iterate_batches(source: Any, batch_size: int, preprocess: Callable[[Any], Any]) -> Iterator[np.ndarray]:
    """Yield checked batches of `batch_size` images in the order of the source, the last one of what remains.

    One batch is held in memory at a time. Incoming batches of any length are cut and joined; a batch also ends where the
    images' shape or dtype changes. Image files go through `preprocess` as they come, so that files of many sizes share
    batches.

    Args:
        source: Anything that `ACCEPTED` names.
        batch_size: A positive integer.
        preprocess: The detector's `Preprocessing`.
    """
    if not (isinstance(batch_size, (int, np.integer)) and batch_size >= 1):
        raise ValueError(f"`batch_size` must be a positive integer. Received: {batch_size!r}")
    waiting: list[np.ndarray] = []
    count = 0
    chunks = _chunks(source, batch_size, preprocess)
    for number, chunk in enumerate(chunks):
        if number == 0:
            warn_of_mask(chunk)
        if waiting and (chunk.shape[1:] != waiting[0].shape[1:] or chunk.dtype != waiting[0].dtype):
            yield np.concatenate(waiting)
            waiting, count = [], 0
        waiting.append(chunk)
        count += len(chunk)
        if count < batch_size:
            continue
        joined = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
        whole = count - count % batch_size
        yield from (joined[start : start + batch_size] for start in range(0, whole, batch_size))
        waiting, count = ([joined[whole:]] if whole < count else []), count - whole
    if waiting:
        yield np.concatenate(waiting)


def gather(source: Any, preprocess: Callable[[Any], Any], batch_size: int = 256) -> np.ndarray:
    """Return all images of a source in memory as the networks take them, float32 `(N, *image_shape)` in 0..1.

    Args:
        source: Anything that `ACCEPTED` names.
        preprocess: The detector's `Preprocessing`.
        batch_size: Images that are read and converted at a time.
    """
    batches = iterate_batches(source, batch_size, preprocess)
    return np.concatenate(at_least_one(keras.ops.convert_to_numpy(preprocess(batch)) for batch in batches))


def count_images(source: Any) -> int | None:
    """Return the number of images of a source, or None where only reading to the end would tell."""
    source = opened(source)
    if isinstance(source, ImageFiles) or hasattr(source, "shape"):
        return len(source)
    return len(source) if isinstance(source, (list, tuple)) and all(map(_is_image, source)) else None


def open_path(path: str | os.PathLike[str]) -> Any:
    """Open a folder, an image file, a .npy file (read by slices) or a .npz file (its one array, or that named `images`)."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".npz"):
        return ImageFiles(path)
    try:
        if suffix == ".npy":
            return ArrayFile(path)
        # Opened here: NumPy leaves a file open that turns out to be no zip.
        with path.open("rb") as stream, np.lib.npyio.NpzFile(stream, allow_pickle=False) as file:
            names = file.files
            if "images" in names or len(names) == 1:
                return file["images" if "images" in names else names[0]]
    except FileNotFoundError:
        raise
    except DAMAGED as error:
        raise ValueError(f"Expected {ACCEPTED}. Received: {path}, which NumPy cannot read ({error})") from error
    raise ValueError(f"A .npz file needs one array, or one named 'images'. Received: {path} with {names}")


def opened(source: Any) -> Any:
    """Return a source whose paths are opened, whose dictionary is looked up, and that is known not to be endless.

    Raises:
        ValueError: A dictionary without images, files that are none, or a source that never ends.
    """
    if isinstance(source, Mapping):
        source = images_of(source)
    if isinstance(source, (str, os.PathLike)):
        return open_path(source)
    if isinstance(source, Image.Image):
        return [source]
    if isinstance(source, (list, tuple)) and source and all(isinstance(item, (str, os.PathLike)) for item in source):
        return ImageFiles(source)
    if is_endless(source):
        raise ValueError(f"Expected {ACCEPTED}, of which each ends. Received: an endless {type(source).__name__}")
    return source


def is_endless(source: Any) -> bool:
    """Return whether a source is known to go on for ever: a repeated dataset, an iterator of `itertools` that never stops."""
    if isinstance(source, keras.utils.PyDataset):
        return source.num_batches is None
    if callable(cardinality := getattr(source, "cardinality", None)):  # of a tf.data.Dataset
        return int(cardinality()) == -1
    return isinstance(source, (itertools.cycle, itertools.count, itertools.repeat))


def _chunks(source: Any, batch_size: int, preprocess: Any) -> Iterator[np.ndarray]:
    """Yield checked arrays of any length."""
    source = opened(source)
    if isinstance(source, ImageFiles):
        yield from convert(source.resized(preprocess.image_shape[:2], preprocess.aspect), preprocess, batch_size)
    elif hasattr(source, "shape") and hasattr(source, "__getitem__"):
        if len(source.shape) != 4 or source.shape[0] == 0:
            check_images(source)
        yield from (check_images(source[start : start + batch_size]) for start in range(0, source.shape[0], batch_size))
    elif isinstance(source, (keras.utils.PyDataset, Iterable)):
        empty = True
        for is_image, items in groupby(_items(source), _is_image):
            one_by_one = iter(items)
            for chunk in convert(_read(one_by_one, preprocess), preprocess, batch_size) if is_image else _checked(one_by_one):
                empty = False
                yield chunk
        if empty:
            raise ValueError(f"Expected {ACCEPTED}. Received: {type(source).__name__} that yields no image")
    else:
        raise ValueError(f"Expected {ACCEPTED}. Received: {type(source).__name__}")


def _is_image(item: Any) -> bool:
    """Whether an item of a stream is one image, not a batch: a file, a PIL image, or an array with 1 or 3 channels."""
    shape: Any = getattr(item, "shape", ())
    return isinstance(item, (str, os.PathLike, Image.Image)) or (len(shape) == 3 and shape[-1] in (1, 3))


def _read(items: Iterable[Any], preprocess: Any) -> Iterator[np.ndarray]:
    """Yield the images of files, folders, PIL images and arrays of one image each."""
    for item in items:
        if isinstance(item, (str, os.PathLike)):
            yield from ImageFiles(item).resized(preprocess.image_shape[:2], preprocess.aspect)
        else:
            yield Decoding().image(item) if isinstance(item, Image.Image) else np.asarray(check_images(item[None])[0])


def _checked(batches: Iterable[Any]) -> Iterator[np.ndarray]:
    """Yield the images of batches that have any."""
    return (check_images(images_of(batch)) for batch in batches if has_images(batch))


def convert(images: Iterable[np.ndarray], preprocess: Any, most: int = 256) -> Iterator[np.ndarray]:
    """Yield images of any sizes in their order as `(n, *image_shape)`; neighbours of one size and dtype are converted together.

    Always a power of two of them: JAX compiles for each shape.

    Args:
        images: `(height, width, 1 or 3)` each.
        preprocess: The detector's `Preprocessing`.
        most: How many to read ahead.
    """
    for (shape, _), alike in groupby(images, lambda image: (image.shape, image.dtype)):
        few = most if shape == preprocess.image_shape else max(1, min(most, LARGE // math.prod(shape)))
        while together := list(islice(alike, few)):
            while together:
                size = 1 << (len(together).bit_length() - 1)
                yield keras.ops.convert_to_numpy(preprocess(np.stack(together[:size])))
                together = together[size:]


def _items(source: Any) -> Iterator[Any]:
    """Yield the batches of a `PyDataset`, which is indexed, or of anything iterable."""
    if isinstance(source, keras.utils.PyDataset):
        yield from (source[index] for index in range(source.num_batches))
    else:
        yield from source


def pad(batch: np.ndarray, batch_size: int) -> np.ndarray:
    """Repeat the last image up to a power of two of at least 8, or to `batch_size`: few shapes are ever compiled.

    Where Keras distributes data over devices, up to a multiple of their number.
    """
    length = min(batch_size, max(8, 1 << (len(batch) - 1).bit_length()))
    length += -length % replicas()
    return batch if len(batch) == length else np.concatenate([batch, np.repeat(batch[-1:], length - len(batch), axis=0)])


def one_ahead(items: Iterable[Item], start: Callable[[Item], Started]) -> Iterator[Started]:
    """Yield `start(item)` of each item in turn, the next one started before: devices compute while the host reads.

    Where an item cannot be had, the one before it is given out first.
    """
    waiting: list[Started] = []
    try:
        for item in items:
            waiting.append(start(item))
            if len(waiting) == 2:
                yield waiting.pop(0)
    except Exception:
        yield from waiting
        raise
    yield from waiting
