"""What the bijectors of image flows have in common."""

from abc import abstractmethod
from typing import Any

from keras_ood.backend.tfp import tfb


class ImageBijector(tfb.Bijector):  # type: ignore[misc]
    """A bijector of images whose value and log-determinant come from one pass.

    A coupling's network is most of a flow's cost, and TFP asks for value and log-determinant apart. Here a subclass answers
    both at once, in `forward_and_log_det` and `inverse_and_log_det`; TFP's own methods (`forward`, `inverse`,
    `forward_log_det_jacobian`, ...) are derived from them.

    Images are `(batch, height, width, channels)`, an event is one image, log-determinants are `(batch,)`, in nats.

    A bijector that leaves every position at its place also says where its log-determinant comes from, in
    `forward_and_log_det_map`; one that moves positions, as a squeeze, does not.
    """

    def __init__(self, name: str, parameters: dict[str, Any], forward_min_event_ndims: int = 3) -> None:
        super().__init__(forward_min_event_ndims=forward_min_event_ndims, parameters=parameters, name=name)

    @abstractmethod
    def forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        """Return `y = f(x)` and `log |det df/dx|`, `(batch,)`."""

    def forward_and_log_det_map(self, x: Any) -> tuple[Any, Any]:
        """Return `y = f(x)` and the share of every position in `log |det df/dx|`, `(batch, height, width)`.

        Raises:
            NotImplementedError: It moves positions, or says nothing of them.
        """
        raise NotImplementedError(f"{type(self).__name__} does not leave positions at their places")

    @abstractmethod
    def inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        """Return `x` with `f(x) = y`, and `log |det dx/dy|`, `(batch,)`."""

    def _forward(self, x: Any) -> Any:
        return self.forward_and_log_det(x)[0]

    def _inverse(self, y: Any) -> Any:
        return self.inverse_and_log_det(y)[0]

    def _forward_log_det_jacobian(self, x: Any) -> Any:
        return self.forward_and_log_det(x)[1]

    def _inverse_log_det_jacobian(self, y: Any) -> Any:
        return self.inverse_and_log_det(y)[1]
