"""Derivatives with respect to images, on the active backend."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np


def gradient(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """Return the compiled gradient of `sum(function(images, *others))` with respect to `images`.

    Args:
        function: From float images `(batch, height, width, channels)` and other arrays to `(batch,)` numbers, each a function
            of its own image.

    Returns:
        A function of the same arguments, to an array of the images' shape.
    """
    if keras.backend.backend() == "jax":
        import jax

        compiled = jax.jit(jax.grad(lambda images, *others: keras.ops.sum(function(images, *others))))
    else:
        import tensorflow as tf

        @tf.function(reduce_retracing=False)  # type: ignore[untyped-decorator]
        def compiled(images: Any, *others: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(images)
                total = tf.reduce_sum(function(images, *others))
            return tape.gradient(total, images)

    def call(images: np.ndarray, *others: np.ndarray) -> np.ndarray:
        tensors = [keras.ops.convert_to_tensor(value) for value in (images, *others)]
        return np.asarray(keras.ops.convert_to_numpy(compiled(*tensors)))

    return call
