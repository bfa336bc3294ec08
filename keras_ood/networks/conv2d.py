"""A convolution of single pixels that XLA spreads over all cores."""

from typing import Any

import keras
from keras import ops

from keras_ood.backend.devices import xla_on_cpu


@keras.saving.register_keras_serializable(package="keras_ood")
class Conv2D(keras.layers.Conv2D):  # type: ignore[misc]
    """`keras.layers.Conv2D`, same weights, names and values; on JAX, on a CPU, a product of matrices where it can be.

    With a 1x1 kernel, stride 1, one group and channels last, `y[i, j] = x[i, j] K + b` at every pixel. As a convolution XLA
    computes that on one core there, as a product on all.
    """

    def call(self, inputs: Any) -> Any:
        """Return `(batch, height, width, filters)` for `(batch, height, width, channels)`."""
        single = {*self.kernel_size, *self.strides, self.groups} == {1} and self.data_format == "channels_last"
        if not (xla_on_cpu() and single):
            return super().call(inputs)
        outputs = ops.matmul(inputs, ops.convert_to_tensor(self.kernel)[0, 0])
        if self.use_bias:
            outputs = outputs + ops.convert_to_tensor(self.bias)
        return outputs if self.activation is None else self.activation(outputs)
