"""Images as the features of a frozen encoder, computed once."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_ood.terminal.numbers import is_whole

_SUFFIX = ".json"


class Embeddings:
    """Features of images, one row each, with the encoder that they come from; on disk they are read as they are needed.

    Every method of a detector over an encoder that takes images takes their embeddings too.

    Args:
        array: `(N, width)`, float; a memory map for what lies on disk.
        encoder: `FrozenEncoder.identity` of the encoder, and the images' `given_shape`.

    Raises:
        ValueError: An array of another rank or dtype.
    """

    def __init__(self, array: np.ndarray, encoder: Mapping[str, Any]) -> None:
        if array.ndim != 2 or array.dtype.kind != "f" or not len(array):
            raise ValueError(f"Embeddings are (N, width), float. Received: {array.dtype} of shape {array.shape}")
        self.array, self.encoder = array, dict(encoder)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Embeddings":
        """Return the embeddings that `keras_ood.encoders.embed` wrote.

        Raises:
            ValueError: The file is not what it should be.
        """
        try:
            encoder = json.loads(Path(f"{path}{_SUFFIX}").read_text())
            return cls(np.load(path, mmap_mode="r", allow_pickle=False), encoder)
        except (ValueError, TypeError, EOFError, RecursionError) as error:
            raise ValueError(
                f"Expected embeddings as `keras_ood.encoders.embed` writes them. Received: {path} ({error})"
            ) from error

    def describe(self, path: str | os.PathLike[str]) -> None:
        """Write beside the array's file which encoder it is of."""
        Path(f"{path}{_SUFFIX}").write_text(json.dumps(self.encoder) + "\n")

    @property
    def shape(self) -> tuple[int, int]:
        """`(N, width)`."""
        return self.array.shape

    def __len__(self) -> int:
        """Number of images."""
        return len(self.array)

    def __getitem__(self, chosen: Any) -> "Embeddings":
        """The embeddings of some of the images: a slice or an array of indices."""
        return Embeddings(self.array[chosen], self.encoder)

    def batches(self, batch_size: int) -> Iterator[np.ndarray]:
        """Yield float32 `(n, width)` in their order."""
        if not is_whole(batch_size, 1):
            raise ValueError(f"`batch_size` must be a positive integer. Received: {batch_size!r}")
        for start in range(0, len(self), batch_size):
            yield np.asarray(self.array[start : start + batch_size], np.float32)

    def values(self) -> np.ndarray:
        """Return all of them in memory, float32 `(N, width)`."""
        return np.asarray(self.array, np.float32)
