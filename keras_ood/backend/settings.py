"""Keras' global settings, as this package computes under, whatever a caller has set for models of their own."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import keras

from keras_ood.backend.forking import require_backend

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_LOCK = threading.Lock()
_CALLERS: list[tuple[str, str]] = []  # a caller's (floatx, image data format), while one of several threads is inside


@contextlib.contextmanager
def own_settings(policy: Any = None) -> Iterator[None]:
    """Compute with floats of 32 bits and channels last within the block; afterwards all is as the caller had set it.

    Args:
        policy: Dtype policy of the layers that are made within the block; None for the caller's.

    Raises:
        RuntimeError: Nothing can be computed in this process, see `keras_ood.backend.forking`.
    """
    require_backend()
    present = keras.config.dtype_policy()  # of this thread alone
    with _LOCK:
        _CALLERS.append(_CALLERS[0] if _CALLERS else (keras.config.floatx(), keras.config.image_data_format()))
        _set("float32", "channels_last")
    if policy is not None:
        keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(present)
        with _LOCK:
            settings = _CALLERS.pop()
            if not _CALLERS:
                _set(*settings)


def under_own_settings(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return `function`, called within `own_settings`."""

    @wraps(function)
    def call(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        with own_settings():
            return function(*arguments, **options)

    return call


def _set(floatx: str, image_data_format: str) -> None:
    keras.config.set_floatx(floatx)
    keras.config.set_image_data_format(image_data_format)
