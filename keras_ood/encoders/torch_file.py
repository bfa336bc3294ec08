"""PyTorch's weights files, read without PyTorch."""

import collections
import os
import pickle
from typing import Any, BinaryIO, NoReturn

import numpy as np

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the format that PyTorch wrote until 1.5
_STORAGES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Tensor:
    """A tensor as it is pickled: a window on a storage whose numbers come later in the file."""

    def __init__(self, storage: tuple[str, np.dtype], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self, numbers: np.ndarray) -> np.ndarray:
        """Return the array: the strides need not be those of a contiguous one."""
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        if min((self.offset, *self.shape, *self.strides)) < 0 or (0 not in self.shape and last >= len(numbers)):
            raise ValueError("a tensor that reaches beyond its storage")
        itemsize = numbers.itemsize
        window = np.lib.stride_tricks.as_strided(
            numbers[self.offset :], self.shape, [stride * itemsize for stride in self.strides], writeable=False
        )
        return window.copy()


class _Unpickler(pickle.Unpickler):
    """Reads dictionaries of tensors; every other class is refused, so that no code of a file ever runs."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"the class {module}.{name}")

    def persistent_load(self, pid: Any) -> tuple[str, np.dtype]:
        kind, dtype, key, _, _, view = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or view is not None:
            raise pickle.UnpicklingError(f"the object {pid!r}")
        return str(key), dtype


def read_torch_file(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return the weights of a file that PyTorch up to 1.5 has written, by name; no code of the file is run.

    Raises:
        ValueError: The file is not what it should be, or holds more than weights.
    """
    try:
        with open(path, "rb") as file:
            return _read(file)
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        _refuse(path, error)


def _read(file: BinaryIO) -> dict[str, np.ndarray]:
    if (_Unpickler(file).load(), _Unpickler(file).load()) != (_MAGIC, _PROTOCOL):
        raise ValueError("another format")
    _Unpickler(file).load()  # of the machine that wrote it: little-endian, as all are
    tensors = _Unpickler(file).load()
    keys = _Unpickler(file).load()
    dtypes = dict(tensor.storage for tensor in tensors.values())
    storages = {}
    for key in keys:  # each storage is its length and its numbers
        dtype = dtypes[key]
        (length,) = np.frombuffer(file.read(8), "<i8")
        content = file.read(int(length) * dtype.itemsize) if length >= 0 else b""
        storages[key] = np.frombuffer(content, dtype)
        if len(storages[key]) != length:
            raise ValueError("a file that is cut off")
    return {name: tensor.array(storages[tensor.storage[0]]) for name, tensor in tensors.items()}


def _refuse(path: str | os.PathLike[str], error: Exception) -> NoReturn:
    raise ValueError(
        f"Expected a file of weights alone, as PyTorch wrote them until 1.5. Received: {path} ({error})"
    ) from error
