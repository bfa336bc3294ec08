"""Bijectors one after the other."""

from collections.abc import Callable, Sequence
from typing import Any

from keras_ood.backend.tfp import BatchedComponentProperties
from keras_ood.bijectors.image_bijector import ImageBijector


class Chain(ImageBijector):
    """`f = f_n ... f_2 f_1`, applied in the order of reading: the first bijector first (TFP's `Chain` starts with the last).

    The log-determinant is the sum of theirs. Own code because TFP's asks each part for value and log-determinant apart, which
    runs every network twice.

    Args:
        bijectors: `f_1, ..., f_n`, at least one.
    """

    def __init__(self, bijectors: Sequence[ImageBijector], name: str = "chain") -> None:
        parameters = dict(locals())
        if not bijectors:
            raise ValueError(f"`bijectors` must hold at least one. Received: {bijectors!r}")
        self._bijectors = list(bijectors)
        super().__init__(name, parameters)

    @property
    def bijectors(self) -> list[ImageBijector]:
        """`f_1, ..., f_n`."""
        return self._bijectors

    @classmethod
    def _parameter_properties(cls, dtype: Any) -> dict[str, Any]:
        return {"bijectors": BatchedComponentProperties(event_ndims=lambda chain: [3] * len(chain.bijectors))}

    def forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        """The value, the sum of the log-determinants."""
        return _one_after_the_other([bijector.forward_and_log_det for bijector in self._bijectors], x)

    def forward_and_log_det_map(self, x: Any) -> tuple[Any, Any]:
        """The value, the sum of the log-determinants at each position."""
        return _one_after_the_other([bijector.forward_and_log_det_map for bijector in self._bijectors], x)

    def inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        """The value, the sum of the log-determinants."""
        return _one_after_the_other([bijector.inverse_and_log_det for bijector in reversed(self._bijectors)], y)

    def _forward_event_shape(self, input_shape: Any) -> Any:
        for bijector in self._bijectors:
            input_shape = bijector.forward_event_shape(input_shape)
        return input_shape

    def _inverse_event_shape(self, output_shape: Any) -> Any:
        for bijector in reversed(self._bijectors):
            output_shape = bijector.inverse_event_shape(output_shape)
        return output_shape


def _one_after_the_other(functions: Sequence[Callable[[Any], tuple[Any, Any]]], values: Any) -> tuple[Any, Any]:
    total = 0.0
    for function in functions:
        values, log_det = function(values)
        total = total + log_det
    return values, total
