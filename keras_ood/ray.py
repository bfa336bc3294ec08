"""Corpora larger than one machine: scoring with Ray Data, streamed, restarted where it stopped.

`score_dataset` adds columns to any Ray dataset of images; `score_files` takes a folder or an object store to Parquet files.
Needs the extra `ray`.
"""

import functools
import io
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_ood.calibration import NOMINAL_FPR
from keras_ood.hub import handles, preset
from keras_ood.hub.content import Content
from keras_ood.images.decoding import DECODING_ERRORS, Decoding
from keras_ood.images.formats import suffixes
from keras_ood.images.image_files import UNREADABLE
from keras_ood.images.path_list import is_hidden
from keras_ood.images.resize_on_host import resize_on_host
from keras_ood.loading import from_pretrained

try:
    import pyarrow.dataset
    import pyarrow.fs
    import ray
    from ray.data.checkpoint import CheckpointConfig
except ImportError as _error:
    raise ImportError("Scoring with Ray needs the extra `ray`: pip install 'keras-ood[ray]'") from _error

CHECKPOINT, SETTINGS = "_checkpoint", "_settings.json"  # names with an underscore are no data to readers of Parquet


class Scorer:
    """The actor: loads a detector once, then adds `score`, `p_value` and `ood` to one batch of rows after the other.

    Args:
        handle: Preset, as for `keras_ood.from_pretrained`; a folder must be readable on every node.
        method: Name of the score; None for the preset's default.
        fpr: False positive rate to hold.
        column: Name of the column of images, `(height, width, 1 or 3)` arrays of any sizes, `(0, 0, 1)` for none, or those
            as the bytes of .npy files; dropped.
        batch_size: Number of images per pass.
        digest: SHA-256 of the `preset.json` that is meant: a preset that has changed meanwhile is refused.
    """

    def __init__(self, handle: str, method: str | None, fpr: float, column: str, batch_size: int, digest: str) -> None:
        folder = handles.resolve(handle)
        if _digest(folder) != digest:
            raise ValueError(f"The preset changed while it was used. Received: {handle}")
        self.detector = from_pretrained(folder)
        self.method, self.fpr, self.column, self.batch_size = method, fpr, column, batch_size
        self.detector.threshold(fpr, method)  # refuses a score or a rate that it cannot hold before anything is read

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the batch's other columns and its scores; NaN where there is no image."""
        images = [_unpacked(image) if isinstance(image, bytes) else image for image in batch.pop(self.column)]
        present = np.array([image.size > 0 for image in images])
        scores = np.full(len(images), np.nan, np.float32)
        p_values = np.full(len(images), np.nan)
        if present.any():
            found = self.detector.iterate_p_values(_alike(images), self.method, batch_size=self.batch_size, progress=False)
            scores[present], p_values[present] = map(np.concatenate, zip(*found, strict=True))
        return batch | {"score": scores, "p_value": p_values, "ood": p_values <= self.fpr}


def score_dataset(
    dataset: Any,
    handle: str,
    *,
    method: str | None = None,
    fpr: float = NOMINAL_FPR,
    column: str = "image",
    batch_size: int = 256,
    actors: int | None = None,
) -> Any:
    """Return a Ray dataset with the columns `score`, `p_value` and `ood` in place of the images; nothing is computed yet.

    An actor for each GPU of the cluster (for each node, where there is none) loads the detector once; batches stream through. A
    batch of a killed actor or node is computed again by another.

    Args:
        dataset: `ray.data.Dataset` with images `(height, width, 1 or 3)` of any sizes, uint8 or float in 0..1, in a column. All
            other columns are kept. An image of shape `(0, 0, 1)` gets no score (NaN).
        handle: Preset, as for `keras_ood.from_pretrained`; a folder must be readable on every node.
        method: Name of the score; None for the preset's default.
        fpr: False positive rate that `ood` holds.
        column: Name of the column of images.
        batch_size: Number of images per pass.
        actors: Number of actors; None for one a device.
    """
    digest = _digest(handles.resolve(handle))
    return _score(dataset, handle, digest, actors, method=method, fpr=fpr, column=column, batch_size=batch_size)


def _score(dataset: Any, handle: str, digest: str, actors: int | None, **settings: Any) -> Any:
    """Return what `score_dataset` does, with the digest of the preset at hand."""
    ray.init(ignore_reinit_error=True)
    gpus = int(ray.cluster_resources().get("GPU", 0))  # type: ignore[no-untyped-call]
    nodes = sum(node["Alive"] for node in ray.nodes())  # type: ignore[no-untyped-call]
    place = _absolute(handle) if os.path.isdir(handle) else handle
    return dataset.map_batches(
        Scorer,
        fn_constructor_kwargs={"handle": place, "digest": digest} | settings,
        batch_size=settings["batch_size"],
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=actors or gpus or nodes),  # a pool that grows and shrinks loads again and again
        num_cpus=0,  # networks share the cores with reading and decoding: a small machine never waits for a core that is taken
        num_gpus=1 if gpus else None,
        runtime_env=_environment(),
    )


def score_files(
    source: str,
    handle: str,
    out: str,
    *,
    method: str | None = None,
    fpr: float = NOMINAL_FPR,
    unreadable: str = "raise",
    decoding: Decoding | None = None,
    blocks: int | None = None,
    batch_size: int = 256,
    actors: int | None = None,
) -> Any:
    """Score every image file under a folder or an object store's prefix, into Parquet files; a killed run goes on.

    Columns: `path`, `score`, `p_value`, `ood`, `error` (empty, or why a file could not be decoded: it has no score then). Rows
    are written once: what a run finished, a later one does not score again (Ray Data's checkpoints, by path, in `_checkpoint`
    beside the data), though it reads it. Tasks on all cores read and decode files and bring images to the detector's size: what
    crosses the object store is small, whatever the files are. What is hidden is no data, see
    `keras_ood.images.path_list.PathList`; Ray also passes over what begins with an underscore at the top, and over files that
    are no images by name, without a word.

    Args:
        source: Folder or URI, `"s3://bucket/prefix"`, of image files.
        handle: Preset, as for `keras_ood.from_pretrained`.
        out: Folder or URI of the Parquet files, on storage that all nodes share.
        method: Name of the score; None for the preset's default.
        fpr: False positive rate that `ood` holds.
        unreadable: What to do with a file that cannot be decoded: `"raise"`, or `"skip"`, which leaves a row without a score.
        decoding: How files become images; every file is one row, so `frames="first"` alone, and others go without a word.
        blocks: Number of parts in which files are read and rows are written; None for as many as Ray chooses.
        batch_size: Number of images per pass.
        actors: Number of actors; None for one a device.

    Returns:
        The finished table, a `pyarrow.dataset.Dataset`.

    Raises:
        ValueError: `out` holds the scores of another source, preset, score, rate or decoding; `frames="all"`.
    """
    if unreadable not in UNREADABLE:
        raise ValueError(f"`unreadable` must be one of {UNREADABLE}. Received: {unreadable!r}")
    decoding = Decoding() if decoding is None else decoding
    if decoding.frames != "first":
        raise ValueError(f'With Ray every file is one row: `frames` must be "first". Received: {decoding.frames!r}')
    source, out = _absolute(source), _absolute(out).rstrip("/")
    folder = handles.resolve(handle)
    digest, content = _digest(folder), preset.read(folder)
    used = method or content["default_score"]
    decisive = {"source": source, "preset": digest, "method": used, "fpr": fpr, "decoding": asdict(decoding)}
    extensions = [suffix.removeprefix(".") for suffix in sorted(suffixes())]
    context = ray.data.DataContext.get_current()
    before = context.checkpoint_config
    context.checkpoint_config = CheckpointConfig(
        id_column="path", checkpoint_path=f"{out}/{CHECKPOINT}", delete_checkpoint_on_success=False
    )
    environment = _environment()  # one for all tasks: Ray ends idle processes of another, and each new one imports Keras first
    try:
        files = ray.data.read_binary_files(
            source,
            include_paths=True,
            file_extensions=extensions,
            override_num_blocks=blocks,
            runtime_env=environment,
        )
        # Hidden files are left out here, not where Ray lists files: there every worker would import this package first.
        resize = functools.partial(resize_on_host, **_placement(content))
        read = functools.partial(_read_image, source=source, unreadable=unreadable, decoding=decoding, resize=resize)
        images = files.flat_map(read, runtime_env=environment)
        scored = _score(images, handle, digest, actors, method=method, fpr=fpr, column="image", batch_size=batch_size)
        _check_settings(out, json.dumps(decisive, sort_keys=True))
        scored.write_parquet(out, ray_remote_args={"runtime_env": environment})
    finally:
        context.checkpoint_config = before
    return pyarrow.dataset.dataset(out, format="parquet")


def _read_image(
    row: dict[str, Any], source: str, unreadable: str, decoding: Decoding, resize: Callable[[np.ndarray], np.ndarray]
) -> list[dict[str, Any]]:
    """The row of a file, its image at the detector's size; none where something below the source on the way to it is hidden."""
    below = row["path"][len(source.rpartition("://")[2].rstrip("/")) :]
    if any(map(is_hidden, below.strip("/").split("/"))):
        return []
    stream = io.BytesIO(row["bytes"])
    try:
        (image,) = decoding.images(stream, left_out=lambda _: None)
        return [{"path": row["path"], "image": _packed(resize(image)), "error": ""}]
    except DECODING_ERRORS as error:
        reason = str(error).replace(repr(stream), row["path"]) or type(error).__name__
        if unreadable == "raise":
            raise ValueError(
                f"Cannot decode an image file; `unreadable='skip'`, or --unreadable skip at a shell, goes on without it. "
                f"Received: {row['path']} ({reason})"
            ) from error
        return [{"path": row["path"], "image": _packed(np.zeros((0, 0, 1), np.uint8)), "error": reason}]


def _placement(content: Content) -> dict[str, Any]:
    """The size of a preset's images, and the rule by which others are brought to it."""
    height, width, _ = content["input_shape"]
    return {"size": (height, width), "aspect": content.get("aspect", "stretch")}


def _packed(image: np.ndarray) -> bytes:
    """A column of Ray has one dtype: 8 and 16 bits share it as bytes."""
    stream = io.BytesIO()
    np.save(stream, image)
    return stream.getvalue()


def _unpacked(content: bytes) -> np.ndarray:
    return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))


def _alike(images: list[np.ndarray]) -> Any:
    """The images that there are: one array where they are of one kind, as when files were decoded."""
    there = [image for image in images if image.size > 0]
    return np.stack(there) if len({(image.shape, image.dtype) for image in there}) == 1 else there


def _absolute(place: str) -> str:
    """A path that means the same on every worker; a URI as it is."""
    return place if "://" in place else os.path.abspath(place)


def _digest(folder: Path) -> str:
    return preset.sha256(folder / preset.PRESET)


def _environment() -> dict[str, Any]:
    return {"env_vars": {"KERAS_BACKEND": keras.backend.backend()}}


def _check_settings(out: str, settings: str) -> None:
    """Keep the settings beside the data, or compare them with those that an earlier run kept."""
    files, folder = pyarrow.fs.FileSystem.from_uri(out)
    path = f"{folder}/{SETTINGS}"
    files.create_dir(folder)
    if files.get_file_info(path).type == pyarrow.fs.FileType.File:
        with files.open_input_stream(path) as stream:
            kept = stream.read().decode()
        if kept != settings:
            raise ValueError(f"{out} holds scores of other settings: {kept}. Received: {settings}")
        return
    with files.open_output_stream(path) as stream:
        stream.write(settings.encode())
