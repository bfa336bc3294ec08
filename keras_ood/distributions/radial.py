"""One-dimensional integrals behind the tilted Gaussian, in float64 on the host.

Letters: `d` the event size, `t` the tilt, `s = |loc|^2`, `r` a radius.

The published formulas use Kummer and Laguerre functions that overflow, or are silently wrong, from `d` near 200. The
integrals below hold for every `t` in 0..60 and `d` in 1..1024; sources: Floto, Kremer, Nica, "The Tilted Variational
Autoencoder", ICLR 2023 (arXiv 2111.15646) for the formulas, the derivations in the docstrings for their forms here.
"""

import functools
import math
from typing import Any

import numpy as np
from scipy import optimize, special

from keras_ood.backend.quadrature import HALF_LINE, HALF_LINE_WEIGHTS, UNIT, UNIT_WEIGHTS


def gaussian_mean_norm(squared_norm: Any, event_size: int, xp: Any = np) -> Any:
    """Mean norm `E|z|` of `z ~ N(loc, I)`, smooth in `s = |loc|^2` down to `s = 0`.

    From `sqrt(y) = integral of (1 - exp(-u y)) u^(-3/2) du / (2 sqrt(pi))` and the Laplace transform of the noncentral
    chi-square, with `a = s + d` and `u` scaled so that the integrand keeps its shape for every `s` and `d`:

        E|z| = sqrt(2 a / pi) * integral over x > 0 of (1 - h(x)) / x^2,
        h(x) = (a / (a + x^2))^(d/2) * exp(-s x^2 / (2 (a + x^2)))

    Args:
        squared_norm: `s`, an array of any shape.
        event_size: `d`.
        xp: The array module that computes, `numpy` or `keras.ops`.

    Returns:
        An array of the shape of `squared_norm`, relative error below 1e-12 in float64.
    """
    scale, exponent = _laplace(squared_norm, event_size, xp)
    weights = HALF_LINE_WEIGHTS / HALF_LINE**2
    return scale * xp.sum(-xp.expm1(exponent) * weights, axis=-1)


def _mean_norm_slope(squared_norm: float, event_size: int) -> float:
    """`(d/dr E|z|) / r` at `r = |loc|`: decreasing in `r`, so it decides where the KL has its minimum."""
    scale, exponent = _laplace(np.asarray(squared_norm), event_size, np)
    weights = HALF_LINE_WEIGHTS / (squared_norm + event_size + HALF_LINE**2)
    return float(scale * np.sum(np.exp(exponent) * weights))


def _laplace(squared_norm: Any, event_size: int, xp: Any) -> tuple[Any, Any]:
    """`sqrt(2 a / pi)` and `log h(x)` on the nodes, which lie on a new last axis."""
    total = squared_norm + event_size
    squares = HALF_LINE**2
    ratio = squares / total[..., None]
    exponent = -0.5 * (event_size * xp.log1p(ratio) + squared_norm[..., None] * ratio / (1 + ratio))
    return xp.sqrt(total * (2 / math.pi)), exponent


@functools.lru_cache
def critical_tilt(event_size: int) -> float:
    """The tilt below which the KL is smallest at the origin, near `sqrt(d)`: there the tilt does nothing useful.

    Args:
        event_size: `d`.
    """
    return 1 / _mean_norm_slope(0.0, event_size)


@functools.lru_cache
def optimal_radius(tilt: float, event_size: int) -> float:
    """The norm of `loc` at which `KL(N(loc, I) || prior)` is smallest; 0 up to the critical tilt."""
    if tilt <= critical_tilt(event_size):
        return 0.0
    # In one dimension the root is tilt^2 to the last place, hence the bracket beyond it.
    squared = optimize.brentq(lambda s: tilt * _mean_norm_slope(s, event_size) - 1, 0.0, 2 * tilt**2, xtol=1e-12, rtol=1e-14)
    return math.sqrt(squared)


@functools.lru_cache
def radius_mode(tilt: float, event_size: int) -> float:
    """The radius at which `r^(d-1) exp(t r - r^2 / 2)`, the density of a sample's norm, is largest."""
    return (tilt + math.sqrt(tilt**2 + 4 * (event_size - 1))) / 2


@functools.lru_cache
def radius_moments(tilt: float, event_size: int) -> tuple[float, float, float]:
    """`(log Z, E r, sd r)` of the radius under the tilted Gaussian, `Z = E exp(t |z|)` over `z ~ N(0, I)`.

    The log density of the radius is concave with curvature below -1, so 12 units either side of the mode hold all but
    e^-72 of the mass.
    """
    mode = radius_mode(tilt, event_size)
    low, high = max(mode - 12, 0.0), mode + 12
    panels = np.linspace(low, high, 25)
    radius = (panels[:-1, None] + np.diff(panels)[:, None] * UNIT).ravel()
    weights = (np.diff(panels)[:, None] * UNIT_WEIGHTS).ravel()
    log_density = (event_size - 1) * np.log(radius) + tilt * radius - radius**2 / 2 + np.log(weights)
    log_mass = special.logsumexp(log_density)
    log_gaussian_mass = (event_size / 2 - 1) * math.log(2) + special.gammaln(event_size / 2)
    probabilities = np.exp(log_density - log_mass)
    mean = float(probabilities @ radius)
    variance = float(probabilities @ (radius - mean) ** 2)
    return float(log_mass - log_gaussian_mass), mean, math.sqrt(variance)


@functools.lru_cache
def committed_rate(tilt: float, event_size: int) -> float:
    """The smallest `KL(N(loc, I) || prior)` that any `loc` reaches, in nats."""
    radius = np.asarray(optimal_radius(tilt, event_size))
    mean_norm = gaussian_mean_norm(radius**2, event_size)
    return float(radius_moments(tilt, event_size)[0] - tilt * mean_norm + radius**2 / 2)
