"""Corpora larger than one machine: scoring with Ray Data, streamed, restarted where it stopped.

`score_dataset` adds columns to any Ray dataset of images; `score_files` takes a folder or an object store to Parquet files.
Needs the extra `ray`.
"""

import functools
import io
import json
import os
from typing import Any

import keras
import numpy as np

from keras_ood.datasets.image_files import DECODING_ERRORS, SUFFIXES, decode

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
        handle: As for `keras_ood.from_pretrained`; a folder must be readable on every node.
        method: Score; None for the preset's default.
        fpr: False positive rate to hold.
        column: Of the images, `(height, width, 1 or 3)` arrays of any sizes, `(0, 0, 1)` for none; it is dropped.
    """

    def __init__(self, handle: str, method: str | None, fpr: float, column: str) -> None:
        import keras_ood

        self.detector = keras_ood.from_pretrained(handle)
        self.method, self.fpr, self.column = method, fpr, column
        self.calibration = self.detector.calibration(method)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the batch's other columns and its scores; NaN where there is no image."""
        images = batch.pop(self.column)
        present = np.array([image.size > 0 for image in images])
        scores = np.full(len(images), np.nan, np.float32)
        p_values = np.full(len(images), np.nan)
        if present.any():
            scores[present] = self.detector.score(_joined(images[present], self.detector), self.method, progress=False)
            p_values[present] = self.calibration.p_values(scores[present])
        return batch | {"score": scores, "p_value": p_values, "ood": p_values <= self.fpr}


def score_dataset(
    dataset: Any,
    handle: str,
    *,
    method: str | None = None,
    fpr: float = 0.05,
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
        handle: As for `keras_ood.from_pretrained`; a folder must be readable on every node.
        method: Score; None for the preset's default.
        fpr: False positive rate that `ood` holds.
        column: Of the images.
        batch_size: Images per pass.
        actors: How many; None for one a device.
    """
    ray.init(ignore_reinit_error=True)
    gpus = int(ray.cluster_resources().get("GPU", 0))  # type: ignore[no-untyped-call]
    nodes = len(ray.nodes())  # type: ignore[no-untyped-call]
    return dataset.map_batches(
        Scorer,
        fn_constructor_kwargs={"handle": str(handle), "method": method, "fpr": fpr, "column": column},
        batch_size=batch_size,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors or gpus or nodes),
        num_cpus=0,  # networks share the cores with reading and decoding: a small machine never waits for a core that is taken
        num_gpus=1 if gpus else None,
        runtime_env={"env_vars": {"KERAS_BACKEND": keras.backend.backend()}},
    )


def score_files(
    source: str, handle: str, out: str, *, unreadable: str = "raise", blocks: int | None = None, **options: Any
) -> Any:
    """Score every image file under a folder or an object store's prefix, into Parquet files; a killed run goes on.

    Columns: `path`, `score`, `p_value`, `ood`, `error` (empty, or why a file could not be decoded: it has no score then). Rows
    are written once: what a run finished, a later one with the same settings does not score again (Ray Data's checkpoints, by
    path, in `_checkpoint` beside the data).

    Args:
        source: Folder or URI, `"s3://bucket/prefix"`, of image files.
        handle: As for `keras_ood.from_pretrained`.
        out: Folder or URI of the Parquet files, on storage that all nodes share.
        unreadable: What a file that cannot be decoded does: `"raise"` or `"skip"`, which leaves a row without a score.
        blocks: Parts in which files are read and rows are written; None for as many as Ray chooses.
        **options: Those of `score_dataset`.

    Returns:
        The finished table, a `pyarrow.dataset.Dataset`.

    Raises:
        ValueError: `out` holds the scores of other settings.
    """
    source, out = (place if "://" in place else os.path.abspath(place) for place in (str(source), str(out)))
    settings = {"source": source, "handle": str(handle)} | options
    _check_settings(out, json.dumps(settings, sort_keys=True))
    context = ray.data.DataContext.get_current()
    before = context.checkpoint_config
    context.checkpoint_config = CheckpointConfig(
        id_column="path", checkpoint_path=f"{out}/{CHECKPOINT}", delete_checkpoint_on_success=False
    )
    try:
        suffixes = [suffix.removeprefix(".") for suffix in sorted(SUFFIXES)]
        files = ray.data.read_binary_files(source, include_paths=True, file_extensions=suffixes, override_num_blocks=blocks)
        images = files.map(functools.partial(_decoded, unreadable=unreadable))
        score_dataset(images, handle, **options).write_parquet(out)
    finally:
        context.checkpoint_config = before
    return pyarrow.dataset.dataset(out, format="parquet")


def _decoded(row: dict[str, Any], unreadable: str) -> dict[str, Any]:
    try:
        return {"path": row["path"], "image": decode(io.BytesIO(row["bytes"])), "error": ""}
    except DECODING_ERRORS as error:
        if unreadable == "raise":
            raise ValueError(f"Cannot decode an image file; `unreadable='skip'` goes on. Received: {row['path']}") from error
        return {"path": row["path"], "image": np.zeros((0, 0, 1), np.uint8), "error": str(error)}


def _joined(images: np.ndarray, detector: Any) -> np.ndarray:
    """One array of images of any sizes: those that differ are brought to the detector's size."""
    if len({image.shape for image in images}) == 1:
        return np.stack(list(images))
    return np.concatenate([keras.ops.convert_to_numpy(detector.preprocessing(image[None])) for image in images])


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
