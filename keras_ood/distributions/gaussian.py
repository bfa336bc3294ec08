"""Closed forms of diagonal Gaussians, as plain tensors: a pass that scores images builds no distribution object.

`TiltedGaussian` and TFP's distributions give the same numbers (the tests hold them to it); importing TensorFlow Probability
costs seconds that a single image need not wait for.
"""

import math
from typing import Any

from keras import ops

from keras_ood.distributions import radial


def negative_log_density(errors: Any, scale: Any, event_ndims: int) -> Any:
    """Return `-log N(x; mean, scale^2 I)` in nats, of shape `(...)`.

    Args:
        errors: `x - mean`, a tensor `(..., *event_shape)`.
        scale: Standard deviation of every dimension, a number or a scalar tensor.
        event_ndims: Number of axes of `event_shape`.
    """
    axes = tuple(range(-event_ndims, 0))
    size = math.prod(errors.shape[-event_ndims:])
    scale = ops.convert_to_tensor(scale, errors.dtype)
    return ops.sum(ops.square(errors / scale), axis=axes) / 2 + size * (ops.log(scale) + math.log(2 * math.pi) / 2)


def kl_to_standard(loc: Any, scale: Any) -> Any:
    """Return `KL(N(loc, diag(scale^2)) || N(0, I))` in nats, `(...)`, for `(..., d)` tensors."""
    return ops.sum(ops.square(loc) + ops.square(scale) - 1 - 2 * ops.log(scale), axis=-1) / 2


def kl_to_tilted(loc: Any, tilt: float, event_size: int) -> Any:
    """Return `KL(N(loc, I) || TiltedGaussian(tilt, d))` in nats, `(...)`, for `(..., d)`: `log Z - t E|z| + |loc|^2 / 2`."""
    squared = ops.sum(ops.square(loc), axis=-1)
    mean_norm = radial.gaussian_mean_norm(squared, event_size, xp=ops)
    return radial.radius_moments(tilt, event_size)[0] - tilt * mean_norm + squared / 2


def quadratic_kl_to_tilted(loc: Any, tilt: float, event_size: int) -> Any:
    """Return the paper's approximation of `kl_to_tilted`: `committed rate + (|loc| - optimal radius)^2 / 2`.

    Tight only for `tilt` well above `sqrt(d)`; towards the origin it is up to three times too large.
    """
    return radial.committed_rate(tilt, event_size) + ops.square(norm(loc) - radial.optimal_radius(tilt, event_size)) / 2


def norm(vector: Any) -> Any:
    """Euclidean norm over the last axis, its gradient 0 instead of NaN at the origin."""
    squared = ops.sum(ops.square(vector), axis=-1)
    return ops.sqrt(ops.maximum(squared, 1e-30))
