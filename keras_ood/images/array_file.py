"""A .npy file, read slice by slice."""

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

# What reading a damaged .npy or .npz file raises: NumPy, zipfile and zlib each have their own.
DAMAGED = (
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


class ArrayFile:
    """An array in a .npy file, of which memory holds no more than what was asked for last.

    A memory map that stays open counts every page it ever touched.

    Args:
        path: The file.

    Attributes:
        shape: Shape of the array.

    Raises:
        Exception: The file is damaged or holds Python objects; `keras_ood.images.array_file.DAMAGED` names what NumPy raises.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.shape = self._map().shape

    def __len__(self) -> int:
        return int(self.shape[0]) if self.shape else 0

    def __getitem__(self, index: slice) -> np.ndarray:
        return np.array(self._map()[index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._map(), dtype)

    def _map(self) -> np.ndarray:
        return np.asarray(np.load(self.path, mmap_mode="r", allow_pickle=False))
