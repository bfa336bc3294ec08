"""Images to embeddings, computed once and kept on disk."""

import copy
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import keras
import numpy as np
from filelock import FileLock

from keras_ood.backend.devices import spread
from keras_ood.backend.settings import under_own_settings
from keras_ood.encoders.frozen_encoder import FrozenEncoder
from keras_ood.images.embeddings import Embeddings
from keras_ood.images.image_files import ImageFiles
from keras_ood.images.no_images import at_least_one
from keras_ood.images.preprocessing import Preprocessing
from keras_ood.images.sources import convert, count_images, iterate_batches, one_ahead, opened, pad
from keras_ood.terminal.progress import track_images

FOLDER = "KERAS_OOD_EMBEDDINGS"
"""Environment variable: the folder of embeddings; `~/.cache/keras_ood/embeddings` without."""

_on_disk: ContextVar[bool] = ContextVar("embeddings on disk", default=True)

_READING = 2  # another number once image files are read to other pixels: embeddings on disk then no longer count


def embed(
    images: Any,
    encoder: FrozenEncoder,
    image_shape: tuple[int, int, int] | None = None,
    folder: str | os.PathLike[str] | None = None,
    batch_size: int = 256,
    dtype: str = "float16",
    progress: bool | None = None,
    aspect: str = "stretch",
) -> Embeddings:
    """Return the embeddings of images, from disk where they were computed before.

    Of arrays and image files the embeddings stay in `folder`, under a name that images and encoder decide: the bytes of an
    array; paths, sizes and times of files. Killed, the same call goes on where it was, unless unreadable files are skipped. Of
    streams, which nothing tells apart before they are read, they are held in memory; and of all where the folder cannot be
    written, or within `in_memory()`.

    Args:
        images: Any accepted source.
        encoder: The encoder.
        image_shape: `(height, width, channels)` of the detector: images are converted to it first, as its `score` does; None
            for the encoder's own.
        folder: Folder of embeddings; None for that of the environment variable `KERAS_OOD_EMBEDDINGS`, or
            `~/.cache/keras_ood/embeddings`.
        batch_size: Images per pass.
        dtype: Of the embeddings, `"float16"` or `"float32"`.
        progress: Whether to show a bar on standard error; None: on a terminal, once the work takes long.
        aspect: Of the detector, for images whose sides have another ratio; see `keras_ood.images.preprocessing.Preprocessing`.

    Raises:
        ValueError: Images that are not accepted.
    """
    if dtype not in ("float16", "float32"):
        raise ValueError(f'`dtype` must be "float16" or "float32". Received: {dtype!r}')
    source = opened(images)
    shape = encoder.image_shape if image_shape is None else image_shape
    preprocess = Preprocessing(shape, aspect)
    identity = encoder.identity | {"given_shape": list(shape)} | ({} if aspect == "stretch" else {"aspect": aspect})
    precision = {} if encoder.compute_dtype == "float32" else {"computed_in": encoder.compute_dtype}
    key = _key(source, identity | {"dtype": dtype} | precision)
    place = embeddings_folder() if folder is None else Path(folder)
    if key is None or not (_on_disk.get() or folder) or not _writable(place):
        parts = at_least_one(part.astype(dtype) for part in _parts(source, preprocess, encoder, batch_size, progress))
        return Embeddings(np.concatenate(parts), identity)
    path = place / f"{key}.npy"
    with FileLock(f"{path}.lock"):
        if not path.exists():
            unfinished = path.with_suffix(".unfinished")
            array, start = _begun(unfinished, source, batch_size, (len(source), encoder.width), np.dtype(dtype))
            for part in _parts(source, preprocess, encoder, batch_size, progress, start):
                array[start : start + len(part)] = part
                start += len(part)
            if start < len(source):  # images that could not be read: another time they may
                read = [np.array(array[:start])] if start else []
                unfinished.unlink()
                return Embeddings(at_least_one(read)[0], identity)
            array.flush()
            Embeddings(array, identity).describe(path)
            unfinished.replace(path)
    return Embeddings.open(path)


@contextmanager
def in_memory() -> Iterator[None]:
    """Leave no embeddings on disk meanwhile, in this thread, and take none from there, where nobody names a folder."""
    token = _on_disk.set(False)
    try:
        yield
    finally:
        _on_disk.reset(token)


def embeddings_folder() -> Path:
    """Return the folder of embeddings where nobody names another."""
    return Path(os.environ.get(FOLDER) or Path.home() / ".cache" / "keras_ood" / "embeddings")


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _begun(path: Path, source: Any, batch_size: int, shape: tuple[int, int], dtype: np.dtype[Any]) -> tuple[Any, int]:
    """The array of a file and how many of its rows are there: whole batches, that of the last row that is not zero left out."""
    skips = isinstance(source, ImageFiles) and source.unreadable == "skip"  # rows are then not at their images' places
    if path.exists() and not skips:
        try:
            array = np.lib.format.open_memmap(path, "r+")
        except ValueError:  # killed before its head was whole
            array = None
        if array is not None and (array.shape, array.dtype) == (shape, dtype):
            rows = np.fromiter((np.any(row) for row in array), bool, len(array))
            begun = len(rows) if rows.all() else int(np.argmin(rows))
            return array, max(0, begun - 1) // batch_size * batch_size
    return np.lib.format.open_memmap(path, "w+", dtype, shape), 0


def _parts(
    source: Any,
    preprocess: Preprocessing,
    encoder: FrozenEncoder,
    batch_size: int,
    progress: bool | None,
    first: int = 0,
) -> Any:
    """Yield the features of one batch after the other; a batch is read while the one before is computed."""
    if first and isinstance(source, ImageFiles):
        source = copy.copy(source)
        source.start_at(first)
    elif first:
        source = source[first:]
    encoder.ready()

    @under_own_settings
    def start(batch: np.ndarray) -> tuple[int, Any]:
        if batch.shape[1:] != preprocess.image_shape:
            batch = np.concatenate(list(convert(batch, preprocess)))
        return len(batch), encoder(preprocess(spread(pad(batch, batch_size))))

    batches = track_images(iterate_batches(source, batch_size, preprocess), count_images(source), progress)
    for length, features in one_ahead(batches, start):
        yield np.asarray(keras.ops.convert_to_numpy(features))[:length]


def _key(source: Any, settings: dict[str, Any]) -> str | None:
    """Name of the embeddings of images that can be told apart before they are read; None for others."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    if isinstance(source, ImageFiles):
        digest.update(f"{_READING}{source.decoding!r}{source.unreadable}{len(source)}".encode())
        for path in source.paths:
            status = os.stat(path)
            digest.update(f"{os.path.abspath(path)}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    elif isinstance(source, np.ndarray):
        digest.update(f"{source.shape}{source.dtype}".encode())
        digest.update(np.ascontiguousarray(source).view(np.uint8).data)
    else:
        return None
    return digest.hexdigest()
