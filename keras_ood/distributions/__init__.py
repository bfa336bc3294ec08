"""Distributions of the zoo, built on call from tensors: none owns a variable."""

from typing import TYPE_CHECKING

import lazy_loader

from keras_ood.distributions.radial import critical_tilt, gaussian_mean_norm

if TYPE_CHECKING:
    from keras_ood.distributions.tilted_gaussian import TiltedGaussian

# At first use: TensorFlow Probability takes seconds to import.
__getattr__, _, _ = lazy_loader.attach(__name__, submod_attrs={"tilted_gaussian": ["TiltedGaussian"]})

__all__ = ["TiltedGaussian", "critical_tilt", "gaussian_mean_norm"]
