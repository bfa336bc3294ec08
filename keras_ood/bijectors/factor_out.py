"""The multi-scale step: some channels are done, the rest goes on."""

from typing import Any

from keras import ops

from keras_ood.backend.tfp import BatchedComponentProperties
from keras_ood.bijectors.image_bijector import ImageBijector
from keras_ood.bijectors.squeeze import Squeeze


class FactorOut(ImageBijector):
    """The first half of the channels leaves the flow; the other half is squeezed, goes through `bijector`, and comes back.

    With `x = (a, b)` split by channels and `g` the squeeze:

        forward    y = (a, g^-1 f g b)
        inverse    x = (a, g^-1 f^-1 g b)
        log-det    that of f at g b

    The shape of the image is kept, so that a flow of any number of scales maps an image to an image of latents.

    Args:
        bijector: `f`, an `ImageBijector` that keeps shapes.

    Source: Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", ICLR 2017, arXiv 1605.08803.
    """

    def __init__(self, bijector: ImageBijector, name: str = "factor_out") -> None:
        parameters = dict(locals())
        self._bijector, self._squeeze = bijector, Squeeze()
        super().__init__(name, parameters)

    @property
    def bijector(self) -> ImageBijector:
        """`f`."""
        return self._bijector

    @classmethod
    def _parameter_properties(cls, dtype: Any) -> dict[str, Any]:
        return {"bijector": BatchedComponentProperties()}

    def forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        """`y = (a, g^-1 f g b)`, the log-determinant of f."""
        return self._apply(x, self._bijector.forward_and_log_det)

    def inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        """`x = (a, g^-1 f^-1 g b)`, the log-determinant of f^-1."""
        return self._apply(y, self._bijector.inverse_and_log_det)

    def _apply(self, images: Any, function: Any) -> tuple[Any, Any]:
        done = images.shape[-1] // 2
        moved, log_det = function(self._squeeze.forward(images[..., done:]))
        return ops.concatenate([images[..., :done], self._squeeze.inverse(moved)], axis=-1), log_det
