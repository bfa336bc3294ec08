"""Space to depth."""

from typing import Any

from keras import ops

from keras_ood.bijectors.image_bijector import ImageBijector


class Squeeze(ImageBijector):
    """Every 2x2 block of positions becomes one position of four times the channels; the log-determinant is 0.

    `(batch, height, width, channels)` to `(batch, height / 2, width / 2, 4 channels)`, in row-major order of the block.

    Source: Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", ICLR 2017, arXiv 1605.08803.
    """

    def __init__(self, name: str = "squeeze") -> None:
        super().__init__(name, dict(locals()))

    @classmethod
    def _parameter_properties(cls, dtype: Any) -> dict[str, Any]:
        return {}

    def forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        """Space to depth, 0."""
        height, width, channels = x.shape[1:]
        if height % 2 or width % 2:
            raise ValueError(f"Squeezed images have even sides. Received: shape={tuple(x.shape)}")
        blocks = ops.reshape(x, (-1, height // 2, 2, width // 2, 2, channels))
        squeezed = ops.reshape(ops.transpose(blocks, (0, 1, 3, 2, 4, 5)), (-1, height // 2, width // 2, 4 * channels))
        return squeezed, ops.zeros_like(x[:, 0, 0, 0])

    def inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        """Depth to space, 0."""
        height, width, channels = y.shape[1:]
        blocks = ops.transpose(ops.reshape(y, (-1, height, width, 2, 2, channels // 4)), (0, 1, 3, 2, 4, 5))
        return ops.reshape(blocks, (-1, 2 * height, 2 * width, channels // 4)), ops.zeros_like(y[:, 0, 0, 0])

    def _forward_event_shape(self, input_shape: Any) -> Any:
        height, width, channels = input_shape[-3:]
        return input_shape[:-3].concatenate([height // 2, width // 2, 4 * channels])

    def _inverse_event_shape(self, output_shape: Any) -> Any:
        height, width, channels = output_shape[-3:]
        return output_shape[:-3].concatenate([2 * height, 2 * width, channels // 4])
