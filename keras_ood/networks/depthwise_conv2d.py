"""A depthwise convolution that XLA computes well on a CPU."""

from typing import Any

import keras
from keras import ops

from keras_ood.backend.devices import xla_on_cpu


@keras.saving.register_keras_serializable(package="keras_ood")
class DepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc]
    """`keras.layers.DepthwiseConv2D`, same weights, names and values; on JAX, on a CPU, a sum of shifted images.

    With `k` the kernel and `s` the stride, `y[i, j] = sum_{a, b} k[a, b] x[s i + a, s j + b]`, channel by channel: one slice,
    one product and one sum for each tap, which XLA fuses into a single loop over the channels, in float32 at least. XLA's own
    convolution of as many groups as channels takes 10 to 30 times as long there; TensorFlow's does not.

    Only one output a channel, without dilation, channels last; all else is Keras' own.
    """

    def call(self, inputs: Any) -> Any:
        """Return `(batch, rows, columns, channels)` for `(batch, height, width, channels)`."""
        plain = self.depth_multiplier == 1 and self.data_format == "channels_last" and set(self.dilation_rate) == {1}
        if not (xla_on_cpu() and plain):
            return super().call(inputs)
        precision = "float64" if keras.backend.standardize_dtype(inputs.dtype) == "float64" else "float32"
        outputs = self._shifted_sum(ops.cast(inputs, precision), ops.cast(self.kernel, precision))
        if self.use_bias:
            outputs = outputs + ops.cast(self.bias, precision)
        outputs = ops.cast(outputs, inputs.dtype)
        return outputs if self.activation is None else self.activation(outputs)

    def _shifted_sum(self, images: Any, kernel: Any) -> Any:
        (rim, rows), (sides, columns) = (self._along(images.shape[1 + axis], axis) for axis in (0, 1))
        images = ops.pad(images, ((0, 0), rim, sides, (0, 0)))
        down, right = self.strides
        return sum(
            images[:, a : a + (rows - 1) * down + 1 : down, b : b + (columns - 1) * right + 1 : right] * kernel[a, b, :, 0]
            for a in range(self.kernel_size[0])
            for b in range(self.kernel_size[1])
        )

    def _along(self, length: int, axis: int) -> tuple[tuple[int, int], int]:
        """Zeros before and after, and the number of outputs, along an axis of this length."""
        taps, stride = self.kernel_size[axis], self.strides[axis]
        if self.padding == "valid":
            return (0, 0), (length - taps) // stride + 1
        outputs = -(-length // stride)
        missing = max((outputs - 1) * stride + taps - length, 0)
        return (missing // 2, missing - missing // 2), outputs
