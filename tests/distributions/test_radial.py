"""The radial integrals against mpmath, over tilt 0..60 and event size 1..1024."""

import itertools
import math

import keras
import mpmath
import numpy as np
import pytest

from keras_ood.distributions import critical_tilt, gaussian_mean_norm, radial

TILTS = (0, 0.5, 5, 10, 25, 40, 60)
EVENT_SIZES = (1, 2, 3, 10, 100, 342, 512, 1024)
GRID = list(itertools.product(TILTS, EVENT_SIZES))
LOC_NORMS = (0.0, 1e-6, 1e-3, 0.3, 1.0, 5.0, 20.0, 60.0, 100.0, 200.0)

# papers.md 1.1 and 1.3: (tilt, event size) -> (mean of the radius, its sd); critical tilts; optimal radii (mpmath, 40 digits).
RADIUS_MOMENTS = {
    (10, 10): (10.84, 0.96),
    (25, 10): (25.36, 0.99),
    (20, 100): (24.11, 0.92),
    (25, 100): (28.48, 0.94),
    (30, 200): (35.60, 0.93),
}
CRITICAL_TILTS = {3: 1.880, 10: 3.242, 20: 4.528, 50: 7.107, 100: 10.025, 200: 14.160, 512: 22.639}
OPTIMAL_RADII = {
    (5, 10): 3.92349,
    (10, 10): 9.53208,
    (15, 10): 14.69487,
    (25, 10): 24.81891,
    (30, 10): 29.84937,
    (10, 100): 0.0,
    (15, 100): 11.19520,
    (20, 100): 17.33857,
    (25, 100): 22.92948,
    (30, 100): 28.29902,
    (15, 200): 4.96616,
    (20, 200): 14.15094,
    (25, 200): 20.62814,
    (30, 200): 26.47012,
    (25, 256): 19.2194,
    (30, 512): 19.70142,
    (40, 512): 32.99273,
}


def reference_gamma_ratio(event_size):
    """`E|z|` of a standard Gaussian: sqrt(2) Gamma((d+1)/2) / Gamma(d/2)."""
    return mpmath.sqrt(2) * mpmath.gammaprod([mpmath.mpf(event_size + 1) / 2], [mpmath.mpf(event_size) / 2])


def reference_mean_norm(loc_norm, event_size):
    """`E|z|` of `N(loc, I)` by Kummer's function, papers.md 1.2."""
    with mpmath.workdps(40):
        argument = -(mpmath.mpf(loc_norm) ** 2) / 2
        return reference_gamma_ratio(event_size) * mpmath.hyp1f1(-0.5, mpmath.mpf(event_size) / 2, argument)


def reference_kl_slope(loc_norm, tilt, event_size):
    """`(d KL / d|loc|) / |loc| = 1 - tilt (d E|z| / d|loc|) / |loc|`, the derivative of Kummer's function term by term."""
    with mpmath.workdps(40):
        argument = -(mpmath.mpf(loc_norm) ** 2) / 2
        kummer = mpmath.hyp1f1(0.5, mpmath.mpf(event_size) / 2 + 1, argument)
        return 1 - tilt * reference_gamma_ratio(event_size) / event_size * kummer


def reference_moments(tilt, event_size):
    """`(log Z, mean, sd)` of the radius by Kummer's function, papers.md 1.1.

    With I(a) = integral of r^(a-1) exp(tilt r - r^2/2), they are log I(d) less its value at tilt 0, I(d+1) / I(d), and the
    root of I(d+2) / I(d) - mean^2.
    """
    with mpmath.workdps(40):
        half, square = mpmath.mpf(1) / 2, mpmath.mpf(tilt) ** 2 / 2

        def integral(power):
            even = mpmath.gamma(power * half) * mpmath.hyp1f1(power * half, half, square)
            odd = mpmath.gamma((power + 1) * half) * mpmath.hyp1f1((power + 1) * half, 3 * half, square)
            return 2 ** (power * half - 1) * (even + mpmath.sqrt(2) * tilt * odd)

        mass, first, second = (integral(event_size + order) for order in range(3))
        log_z = mpmath.log(mass / (2 ** (event_size * half - 1) * mpmath.gamma(event_size * half)))
        return float(log_z), float(first / mass), float(mpmath.sqrt(second / mass - (first / mass) ** 2))


@pytest.mark.parametrize("event_size", EVENT_SIZES)
def test_mean_norm_agrees_with_kummer_function(event_size):
    """On the host E|z| is the 1F1 form to 1e-12 relative, from the origin to far beyond every tilt."""
    expected = [float(reference_mean_norm(loc_norm, event_size)) for loc_norm in LOC_NORMS]
    computed = gaussian_mean_norm(np.square(LOC_NORMS), event_size)
    np.testing.assert_allclose(computed, expected, rtol=1e-12)


@pytest.mark.parametrize("event_size", EVENT_SIZES)
def test_mean_norm_is_the_same_in_keras_ops(event_size, float64):
    """The backend computes in float64 what the host computes."""
    squared = np.square(LOC_NORMS)
    tensor = gaussian_mean_norm(keras.ops.convert_to_tensor(squared, "float64"), event_size, xp=keras.ops)
    assert keras.backend.standardize_dtype(tensor.dtype) == "float64"
    np.testing.assert_allclose(keras.ops.convert_to_numpy(tensor), gaussian_mean_norm(squared, event_size), rtol=1e-13)


@pytest.mark.parametrize("event_size", EVENT_SIZES)
def test_mean_norm_in_float32_is_right_to_float32(event_size):
    """In float32, as networks train, E|z| loses no more than a few units in the last place."""
    squared = np.square(LOC_NORMS)
    tensor = gaussian_mean_norm(keras.ops.convert_to_tensor(squared, "float32"), event_size, xp=keras.ops)
    assert keras.backend.standardize_dtype(tensor.dtype) == "float32"
    np.testing.assert_allclose(keras.ops.convert_to_numpy(tensor), gaussian_mean_norm(squared, event_size), rtol=2e-6)


@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_mean_norm_keeps_the_shape(shape):
    """The result has the shape of `squared_norm`, on the host and on the backend."""
    squared = np.full(shape, 2.5, np.float32)
    assert gaussian_mean_norm(squared, 7).shape == shape
    assert tuple(gaussian_mean_norm(keras.ops.convert_to_tensor(squared), 7, xp=keras.ops).shape) == shape


@pytest.mark.parametrize("event_size", sorted({*EVENT_SIZES, *CRITICAL_TILTS}))
def test_critical_tilt_is_the_closed_form(event_size):
    """It is d Gamma(d/2) / (sqrt(2) Gamma((d+1)/2)), and what papers.md 1.3 prints to one unit of its third decimal."""
    expected = float(event_size / reference_gamma_ratio(event_size))
    assert critical_tilt(event_size) == pytest.approx(expected, rel=1e-12)
    assert critical_tilt(event_size) == pytest.approx(CRITICAL_TILTS.get(event_size, expected), abs=1e-3)


@pytest.mark.parametrize(("pair", "expected"), OPTIMAL_RADII.items(), ids=str)
def test_optimal_radius_matches_published_values(pair, expected):
    """The optimal radii of papers.md 1.3, to 1e-4."""
    assert radial.optimal_radius(*pair) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("tilt", "event_size"), GRID)
def test_optimal_radius_is_where_the_kl_turns(tilt, event_size):
    """The KL falls until 1e-4 before the optimal radius and rises from 1e-4 after it, by mpmath's derivative."""
    radius = radial.optimal_radius(tilt, event_size)
    assert reference_kl_slope(radius + 1e-4, tilt, event_size) > 0
    if radius > 0:
        assert radius > 1e-4
        assert reference_kl_slope(radius - 1e-4, tilt, event_size) < 0
    else:
        assert reference_kl_slope(0, tilt, event_size) >= 0


@pytest.mark.parametrize("event_size", EVENT_SIZES)
@pytest.mark.parametrize("excess", [1e-2, 1e-4, 1e-6])
def test_optimal_radius_leaves_zero_at_the_critical_tilt(event_size, excess):
    """Just below the critical tilt the optimum is the origin; just above, it is right to 1e-4 and no longer there."""
    critical = critical_tilt(event_size)
    assert radial.optimal_radius(critical * (1 - excess), event_size) == 0
    tilt = critical * (1 + excess)
    radius = radial.optimal_radius(tilt, event_size)
    assert radius > 0
    assert reference_kl_slope(radius + 1e-4, tilt, event_size) > 0
    assert reference_kl_slope(max(radius - 1e-4, 0), tilt, event_size) < 0


@pytest.mark.parametrize(("tilt", "event_size"), GRID)
def test_radius_moments_agree_with_kummer_function(tilt, event_size):
    """Log Z, mean and sd of the radius are mpmath's, an order below the 1e-6 that callers are promised."""
    computed = radial.radius_moments(tilt, event_size)
    np.testing.assert_allclose(computed, reference_moments(tilt, event_size), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(("pair", "expected"), RADIUS_MOMENTS.items(), ids=str)
def test_radius_moments_match_the_published_table(pair, expected):
    """Mean and sd of the radius as papers.md 1.1 prints them, to one unit of their second decimal."""
    np.testing.assert_allclose(radial.radius_moments(*pair)[1:], expected, rtol=0, atol=0.01)


@pytest.mark.parametrize(("tilt", "event_size"), GRID)
def test_radius_mode_is_the_largest_density(tilt, event_size):
    """No radius 0.01 away has a larger density r^(d-1) exp(tilt r - r^2/2)."""

    def log_density(radius):
        power = (event_size - 1) * math.log(radius) if event_size > 1 else 0.0
        return power + tilt * radius - radius**2 / 2

    mode = radial.radius_mode(tilt, event_size)
    assert mode >= 0
    assert log_density(mode) > log_density(mode + 0.01)
    if mode > 0.01:
        assert log_density(mode) > log_density(mode - 0.01)
