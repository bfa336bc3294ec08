"""A transposed convolution computed as an ordinary one."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_ood")
class Conv2DTranspose(keras.layers.Conv2DTranspose):  # type: ignore[misc]
    """`keras.layers.Conv2DTranspose`, same weights, names and values, strides computed in sub-pixel form.

    With stride `s`, output pixel `s q + p` (phase `0 <= p < s`) of a transposed convolution sees the kernel's taps
    `p + pad - s a` at the input pixels `q + a`: an ordinary convolution of stride 1 to `s^2` times the channels, one group for
    each phase, whose phases are then laid side by side (depth to space). Compilers handle it and its gradients better than the
    dilated convolution that XLA makes of a transposed one on a CPU. Weights go from one form to the other as they are.

    Only `padding="same"` with strides above 1 and taps that lie evenly about the pixel is rewritten; all else is Keras' own.

    Source: Shi et al., "Is the deconvolution layer the same as a convolutional layer?", arXiv 1609.07009.
    """

    def call(self, inputs: Any) -> Any:
        """Return `(batch, stride * height, stride * width, filters)` for `(batch, height, width, channels)`."""
        stride, size = self.strides[0], self.kernel_size[0]
        pad = max(size - stride, 0) // 2
        reach = (stride - 1 + pad) // stride  # the farthest input pixel, to either side
        square = len({*self.strides}) == len({*self.kernel_size}) == len({*self.dilation_rate}) == 1
        even = reach == (size - 1 - pad) // stride
        plain = self.padding == "same" and self.data_format == "channels_last" and self.output_padding is None
        if stride == 1 or not (square and even and plain and self.dilation_rate[0] == 1):
            return super().call(inputs)
        outputs = ops.conv(inputs, self._subpixel_kernel(stride, reach, pad), 1, "same", data_format="channels_last")
        if self.use_bias:  # here, and once for each phase: compilers fuse it with the convolution
            outputs = ops.add(outputs, ops.tile(self.bias, stride**2))
        if self.activation is not None:
            outputs = self.activation(outputs)
        return _depth_to_space(outputs, stride)

    def _subpixel_kernel(self, stride: int, reach: int, pad: int) -> Any:
        """The kernel `(taps, taps, channels, stride * stride * filters)` of the ordinary convolution."""
        size, _, filters, channels = self.kernel.shape
        taps = 2 * reach + 1
        before = stride * reach - pad
        margin = (before, stride * taps - before - size)
        kernel = ops.pad(self.kernel, (margin, margin, (0, 0), (0, 0)))
        kernel = ops.reshape(kernel, (taps, stride, taps, stride, filters, channels))
        kernel = ops.transpose(ops.flip(ops.flip(kernel, 0), 2), (0, 2, 5, 1, 3, 4))
        return ops.reshape(kernel, (taps, taps, channels, stride * stride * filters))


def _depth_to_space(images: Any, stride: int) -> Any:
    height, width, channels = images.shape[1:]
    filters = channels // stride**2
    images = ops.reshape(images, (-1, height, width, stride, stride, filters))
    return ops.reshape(ops.transpose(images, (0, 1, 3, 2, 4, 5)), (-1, stride * height, stride * width, filters))
