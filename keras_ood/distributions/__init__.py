"""Distributions of the zoo, built on call from tensors: none owns a variable."""

from typing import TYPE_CHECKING, Any

from keras_ood.distributions.radial import critical_tilt, gaussian_mean_norm

if TYPE_CHECKING:
    from keras_ood.distributions.tilted_gaussian import TiltedGaussian

__all__ = ["TiltedGaussian", "critical_tilt", "gaussian_mean_norm"]


def __getattr__(name: str) -> Any:
    """Import `TiltedGaussian` at first use: TensorFlow Probability takes seconds to import."""
    if name == "TiltedGaussian":
        from keras_ood.distributions.tilted_gaussian import TiltedGaussian

        return TiltedGaussian
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
