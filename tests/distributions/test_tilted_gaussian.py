"""The tilted Gaussian against mpmath, scipy, TFP's own Gaussians and its own samples."""

import functools
import itertools
import math
import re

import keras
import mpmath
import numpy as np
import pytest
from scipy import integrate, special, stats

from keras_ood.backend.tfp import tfd
from keras_ood.distributions import TiltedGaussian

BACKEND = keras.backend.backend()
if BACKEND == "jax":
    import jax
else:
    import tensorflow as tf

TILTS = (0, 0.5, 5, 10, 25, 40, 60)
EVENT_SIZES = (1, 2, 3, 10, 100, 342, 512, 1024)
GRID = list(itertools.product(TILTS, EVENT_SIZES))


def some_on_jax(values, both):
    """Parameters of which JAX, which compiles each shape anew, has those in `both` alone."""
    return [pytest.param(value, marks=() if value in both else pytest.mark.once, id=str(value)) for value in values]


# papers.md 1.1, 1.2 and 1.4: (tilt, event size) -> ...
RADIUS_MOMENTS = {
    (10, 10): (10.84, 0.96),
    (25, 10): (25.36, 0.99),
    (20, 100): (24.11, 0.92),
    (25, 100): (28.48, 0.94),
    (30, 200): (35.60, 0.93),
}
COMMITTED_RATES = {
    (10, 3): 4.30,
    (5, 10): 6.00,
    (10, 10): 11.50,
    (15, 10): 14.99,
    (20, 10): 17.51,
    (25, 10): 19.49,
    (30, 10): 21.12,
    (10, 20): 17.55,
    (15, 100): 56.75,
    (20, 100): 79.38,
    (25, 100): 98.31,
    (30, 100): 114.47,
    (40, 100): 140.94,
}
# What the KL rises by from its minimum to the origin, exact and quadratic; to 1.5 times the optimal radius, likewise.
KL_RISES = {
    (25, 10): (239.9, 308.0, 76.3, 77.0),
    (10, 10): (23.7, 45.4, 10.6, 11.4),
    (30, 100): (200.3, 400.4, 92.5, 100.1),
    (25, 100): (112.7, 262.9, 58.4, 65.7),
    (20, 100): (50.1, 150.3, 30.8, 37.6),
    (30, 200): (125.8, 350.3, 73.7, 87.6),
}
DRAWS = 50_000
SAMPLED = some_on_jax([*RADIUS_MOMENTS, (0, 1), (0.5, 2)], both=[(0, 1), (10, 10), (25, 100)])


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def tensor64(array):
    return keras.ops.convert_to_tensor(np.asarray(array, np.float64), "float64")


def gradient(function, value):
    """The gradient of the sum of `function(value)`, by the backend's automatic differentiation."""
    if BACKEND == "jax":
        return np.asarray(jax.grad(lambda tensor: keras.ops.sum(function(tensor)))(value))
    with tf.GradientTape() as tape:
        tape.watch(value)
        total = keras.ops.sum(function(value))
    return tape.gradient(total, value).numpy()


def compiled(function):
    return jax.jit(function) if BACKEND == "jax" else tf.function(function)


def unit_vector(event_size, seed=0):
    vector = np.random.default_rng(seed).standard_normal(event_size)
    return vector / np.linalg.norm(vector)


def log_sphere_area(event_size):
    """Log of the area of the unit sphere in `event_size` dimensions."""
    return math.log(2) + event_size / 2 * math.log(math.pi) - special.gammaln(event_size / 2)


def radius_grid(prior, points=20001):
    """Radii that hold all of the mass, by the mode and the curvature below -1 of the log density."""
    mode = (prior.tilt + math.sqrt(prior.tilt**2 + 4 * (prior.event_size - 1))) / 2
    return np.linspace(max(mode - 9, 0), mode + 9, points)


@functools.cache
def reference_log_normalizer(tilt, event_size):
    """`log Z` by Kummer's function, papers.md 1.1."""
    with mpmath.workdps(40):
        tilt, half = mpmath.mpf(tilt), mpmath.mpf(event_size) / 2
        ratio = mpmath.gammaprod([half + 0.5], [half])
        even = mpmath.hyp1f1(half, 0.5, tilt**2 / 2)
        odd = mpmath.hyp1f1(half + 0.5, 1.5, tilt**2 / 2)
        return mpmath.log(even + tilt * mpmath.sqrt(2) * ratio * odd)


def reference_kl(loc_norm, tilt, event_size):
    """`log Z - tilt E|z| + |loc|^2 / 2` by Kummer's function, papers.md 1.2."""
    with mpmath.workdps(40):
        square, half = mpmath.mpf(loc_norm) ** 2, mpmath.mpf(event_size) / 2
        mean_norm = mpmath.sqrt(2) * mpmath.gammaprod([half + 0.5], [half]) * mpmath.hyp1f1(-0.5, half, -square / 2)
        return reference_log_normalizer(tilt, event_size) - tilt * mean_norm + square / 2


def reference_optimal_radius(tilt, event_size):
    """The root of the KL's derivative, by bisection in mpmath; 0 where the derivative is positive throughout."""
    with mpmath.workdps(25):
        half = mpmath.mpf(event_size) / 2
        factor = tilt * mpmath.sqrt(2) * mpmath.gammaprod([half + 0.5], [half]) / event_size

        def falls(radius):
            return factor * mpmath.hyp1f1(0.5, half + 1, -(radius**2) / 2) > 1

        low, high = mpmath.mpf(0), mpmath.mpf(tilt)
        if not falls(low):
            return low
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if falls(middle) else (low, middle)
        return low


@pytest.mark.once
@pytest.mark.parametrize(("tilt", "event_size"), GRID)
def test_log_normalizer_agrees_with_kummer_function(tilt, event_size):
    """Log Z is mpmath's to 1e-6, absolute or relative, where the published formula overflows too."""
    prior = TiltedGaussian(tilt, event_size)
    assert prior.log_normalizer == pytest.approx(float(reference_log_normalizer(tilt, event_size)), rel=1e-6, abs=1e-6)


@pytest.mark.once
@pytest.mark.parametrize(("tilt", "event_size"), GRID)
def test_committed_rate_agrees_with_kummer_function(tilt, event_size):
    """The smallest KL of any loc is mpmath's to 1e-6, absolute or relative, and never negative but for rounding."""
    prior = TiltedGaussian(tilt, event_size)
    expected = reference_kl(reference_optimal_radius(tilt, event_size), tilt, event_size)
    assert prior.committed_rate == pytest.approx(float(expected), rel=1e-6, abs=1e-6)
    assert prior.committed_rate > -1e-9


@pytest.mark.once
@pytest.mark.parametrize(("pair", "expected"), COMMITTED_RATES.items(), ids=str)
def test_committed_rate_matches_published_values(pair, expected):
    """The committed rates of papers.md 1.4, to half a unit of their second decimal."""
    assert TiltedGaussian(*pair).committed_rate == pytest.approx(expected, abs=0.00501)


@pytest.mark.parametrize("event_size", some_on_jax(EVENT_SIZES, both=(1, 10, 1024)))
def test_kl_agrees_with_kummer_function(event_size, float64):
    """The exact KL is mpmath's to 1e-5 relative for every tilt, from the origin to far outside the shell."""
    norms = [0, 1e-3, 0.5, 3, 12, 24.8, 40, 100]
    loc = tensor64(np.outer(norms, unit_vector(event_size)))
    for tilt in TILTS:
        computed = numpy(TiltedGaussian(tilt, event_size, dtype="float64").kl(loc))
        assert computed.dtype == np.float64
        expected = [float(reference_kl(norm, tilt, event_size)) for norm in norms]
        np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-11, err_msg=f"tilt {tilt}")


@pytest.mark.parametrize("pair", [(0, 3), (25, 100), (60, 1024)], ids=str)
def test_kl_in_float32_is_right_to_float32(pair):
    """As networks train, in float32, the KL is off by no more than 1e-6 of the terms that cancel in it."""
    tilt, event_size = pair
    norms = [0, 0.5, 3, 12, 24.8, 40]
    loc = np.outer(norms, unit_vector(event_size)).astype(np.float32)
    prior = TiltedGaussian(*pair)
    computed = numpy(prior.kl(loc))
    assert computed.dtype == np.float32
    expected = [float(reference_kl(norm, *pair)) for norm in norms]
    terms = prior.log_normalizer + tilt * math.sqrt(event_size + 40**2) + 40**2 / 2
    np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-6 * terms)


@pytest.mark.once
@pytest.mark.parametrize(("pair", "rises"), KL_RISES.items(), ids=str)
def test_kl_rises_as_published(pair, rises, float64):
    """From the minimum to the origin and to 1.5 radii both KLs rise as papers.md 1.2 prints it, to one decimal."""
    prior = TiltedGaussian(*pair, dtype="float64")
    loc = tensor64(np.outer([0, 1.5 * prior.optimal_radius], unit_vector(pair[1])))
    exact, quadratic = (numpy(kl(loc)) - prior.committed_rate for kl in (prior.kl, prior.quadratic_kl))
    np.testing.assert_allclose([exact[0], quadratic[0], exact[1], quadratic[1]], rises, rtol=0, atol=0.0501)


@pytest.mark.parametrize("pair", some_on_jax([(0, 3), (5, 1), (10, 10), (40, 512)], both=[(5, 1), (40, 512)]))
def test_kl_gradient_is_the_finite_difference(pair, float64):
    """Automatic differentiation of the KL in loc agrees with central differences in every direction tried."""
    tilt, event_size = pair
    prior = TiltedGaussian(tilt, event_size, dtype="float64")
    for norm in (0.2, 4.0, 30.0):
        loc = norm * unit_vector(event_size)
        slope = gradient(prior.kl, tensor64(loc))
        assert slope.shape == (event_size,)
        for direction in (unit_vector(event_size), unit_vector(event_size, seed=1)):
            step = 1e-5 * direction
            ahead, behind = numpy(prior.kl(tensor64([loc + step, loc - step])))
            assert slope @ direction == pytest.approx((ahead - behind) / 2e-5, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("method", ["kl", "quadratic_kl", "log_prob"])
@pytest.mark.parametrize("pair", some_on_jax([(0, 3), (5, 1), (25, 100)], both=[(5, 1), (25, 100)]))
def test_gradient_at_the_origin_is_zero(method, pair):
    """At loc = 0 both KLs and the density are finite, and so is their gradient: 0, for no direction is preferred."""
    function = getattr(TiltedGaussian(*pair), method)
    origin = keras.ops.zeros((2, pair[1]))
    assert np.all(np.isfinite(numpy(function(origin))))
    np.testing.assert_array_equal(gradient(function, origin), np.zeros((2, pair[1])))


@pytest.mark.parametrize("tilt", [0, 5, 25])
def test_kl_is_registered_with_tfp(tilt):
    """`tfd.kl_divergence(MultivariateNormalDiag(loc), prior)` is `prior.kl(loc)`, batch dimensions kept."""
    prior = TiltedGaussian(tilt, 10)
    loc = np.random.default_rng(0).normal(0, 4, (3, 2, 10)).astype(np.float32)
    registered = tfd.kl_divergence(tfd.MultivariateNormalDiag(loc), prior)
    assert tuple(registered.shape) == (3, 2)
    np.testing.assert_allclose(numpy(registered), numpy(prior.kl(loc)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", ["unit", "vector", "batch"])
def test_kl_without_tilt_is_that_of_diagonal_gaussians(scale, float64):
    """At tilt 0 the KL is TFP's own between diagonal Gaussians, for learned scales too."""
    generator = np.random.default_rng(0)
    loc = tensor64(generator.normal(0, 3, (4, 6)))
    scales = {"unit": None, "vector": generator.uniform(0.1, 3, 6), "batch": generator.uniform(0.1, 3, (4, 6))}
    scale_diag = None if scales[scale] is None else tensor64(scales[scale])
    posterior = tfd.MultivariateNormalDiag(loc, scale_diag)
    expected = tfd.kl_divergence(posterior, tfd.MultivariateNormalDiag(keras.ops.zeros_like(loc[0])))
    computed = tfd.kl_divergence(posterior, TiltedGaussian(0, 6, dtype="float64"))
    assert tuple(computed.shape) == (4,)
    np.testing.assert_allclose(numpy(computed), numpy(expected), rtol=1e-10)


def test_kl_with_a_tilt_refuses_a_learned_scale():
    """The formula holds for unit covariance alone: a posterior with `scale_diag` is a ValueError when tilt > 0."""
    posterior = tfd.MultivariateNormalDiag(np.zeros(4, np.float32), np.full(4, 0.5, np.float32))
    with pytest.raises(ValueError, match=r"unit covariance.*Received: .*scale_diag"):
        tfd.kl_divergence(posterior, TiltedGaussian(1.0, 4))


@pytest.mark.parametrize("pair", some_on_jax([(0.5, 1), (5, 10), (10, 10), (25, 100)], both=[(5, 10)]))
@pytest.mark.parametrize("loc_norm", [0.0, 3.0, 20.0])
def test_kl_agrees_with_monte_carlo(pair, loc_norm, float64):
    """The mean of log q - log p over 20,000 draws of q lies within 5 standard errors of the KL."""
    prior = TiltedGaussian(*pair, dtype="float64")
    noise = np.random.default_rng(0).standard_normal((20_000, pair[1]))
    loc = loc_norm * unit_vector(pair[1])
    log_q = -np.sum(noise**2, axis=-1) / 2 - pair[1] / 2 * math.log(2 * math.pi)
    log_ratio = log_q - numpy(prior.log_prob(tensor64(loc + noise)))
    standard_error = log_ratio.std() / math.sqrt(len(noise))
    assert standard_error < 0.2
    assert abs(log_ratio.mean() - float(prior.kl(tensor64(loc)))) < 5 * standard_error + 1e-9


@pytest.mark.parametrize("pair", some_on_jax([*KL_RISES, (40, 512), (10, 100)], both=[(25, 10), (40, 512)]))
def test_quadratic_kl_is_a_parabola(pair, float64):
    """It equals the committed rate at the optimal radius and half the squared distance from there more elsewhere."""
    prior = TiltedGaussian(*pair, dtype="float64")
    offsets = np.array([0, 1e-2, 0.5, 1, 7])
    loc = tensor64(np.outer(prior.optimal_radius + offsets, unit_vector(pair[1])))
    rise = numpy(prior.quadratic_kl(loc)) - prior.committed_rate
    np.testing.assert_allclose(rise, offsets**2 / 2, rtol=1e-9, atol=1e-12)
    assert float(prior.kl(loc[0])) == pytest.approx(prior.committed_rate, abs=1e-9)


@pytest.mark.parametrize(
    "pair", some_on_jax([(0, 1), (0, 10), (0.5, 2), (10, 3), (25, 100), (40, 342), (60, 1024)], both=[(0, 1), (25, 100)])
)
def test_log_prob_integrates_to_one(pair, float64):
    """The density times the sphere's area, integrated over the radius, is 1: so the normaliser is right."""
    prior = TiltedGaussian(*pair, dtype="float64")
    radius = np.maximum(radius_grid(prior), 1e-200)
    log_density = numpy(prior.log_prob(tensor64(np.outer(radius, unit_vector(pair[1])))))
    mass = np.exp(log_density + (pair[1] - 1) * np.log(radius) + log_sphere_area(pair[1]))
    assert integrate.trapezoid(mass, radius) == pytest.approx(1, abs=1e-6)


def test_log_prob_is_the_same_in_all_directions(float64):
    """The density depends on the norm alone and is largest at the norm `tilt`."""
    prior = TiltedGaussian(7.0, 5, dtype="float64")
    directions = np.stack([unit_vector(5, seed) for seed in range(6)])
    values = [numpy(prior.log_prob(tensor64(norm * directions))) for norm in (6.9, 7.0, 7.1)]
    assert np.ptp(values, axis=1) == pytest.approx(0, abs=1e-10)
    assert values[1][0] > max(values[0][0], values[2][0])


def test_log_prob_without_tilt_is_the_standard_gaussian(float64):
    """At tilt 0 log_prob is TFP's and scipy's standard Gaussian."""
    value = np.random.default_rng(0).normal(0, 2, (5, 2, 4))
    computed = numpy(TiltedGaussian(0, 4, dtype="float64").log_prob(tensor64(value)))
    tfp = tfd.MultivariateNormalDiag(keras.ops.zeros_like(tensor64(value[0, 0]))).log_prob(tensor64(value))
    assert computed.shape == (5, 2)
    np.testing.assert_allclose(computed, numpy(tfp), rtol=1e-10)
    np.testing.assert_allclose(computed, stats.multivariate_normal(np.zeros(4)).logpdf(value), rtol=1e-10)


@functools.cache
def drawn(pair):
    """`DRAWS` samples, with their norms in float64."""
    samples = numpy(TiltedGaussian(*pair).sample(DRAWS, seed=7))
    return samples, np.sqrt(np.einsum("ij,ij->i", samples, samples, dtype=np.float64))


@pytest.mark.parametrize("pair", SAMPLED)
def test_sampled_radius_has_the_stated_moments(pair):
    """Mean and sd of 50,000 radii match `mean_norm`, `stddev_norm` and the published table to 1 %."""
    radius = drawn(pair)[1]
    prior = TiltedGaussian(*pair)
    for mean, stddev in filter(None, [(prior.mean_norm, prior.stddev_norm), RADIUS_MOMENTS.get(pair)]):
        assert radius.mean() == pytest.approx(mean, rel=0.01)
        assert radius.std() == pytest.approx(stddev, rel=0.01)


@pytest.mark.parametrize("pair", SAMPLED)
def test_sampled_radius_has_the_stated_distribution(pair):
    """A Kolmogorov-Smirnov test does not tell 50,000 radii from r^(d-1) exp(tilt r - r^2/2)."""
    grid = radius_grid(TiltedGaussian(*pair))
    log_density = special.xlogy(pair[1] - 1, grid) + pair[0] * grid - grid**2 / 2
    density = np.exp(log_density - log_density.max())
    cumulative = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    cumulative /= cumulative[-1]
    result = stats.kstest(drawn(pair)[1], lambda radius: np.interp(radius, grid, cumulative))
    assert result.pvalue > 1e-3
    shifted = stats.kstest(drawn(pair)[1] * 1.03, lambda radius: np.interp(radius, grid, cumulative))
    assert shifted.pvalue < 1e-3  # a radius 3 % too large would be seen


@pytest.mark.parametrize("pair", SAMPLED)
def test_sampled_direction_is_uniform(pair):
    """Unit vectors have mean 0, covariance I / d, and no correlation with the radius, within sampling error."""
    samples, radius = drawn(pair)
    direction = samples / radius[:, None].astype(np.float32)
    count, size = direction.shape
    error = 1 / math.sqrt(count)
    assert np.abs(direction.mean(axis=0)).max() * math.sqrt(size) < 5 * error
    assert np.abs(size * direction.T @ direction / count - np.eye(size)).max() < 6 * math.sqrt(2) * error
    standardized = ((radius - radius.mean()) / radius.std()).astype(np.float32)
    assert np.abs(standardized @ direction / count).max() * math.sqrt(size) < 5 * error


@pytest.mark.parametrize("pair", some_on_jax([(0, 1), (0.5, 2), (10, 10), (25, 100)], both=[(0, 1), (10, 10), (25, 100)]))
def test_mean_and_variance_are_those_of_samples(pair):
    """`mean` is 0 and `variance` is E|z|^2 / d in every dimension, as the samples show."""
    prior = TiltedGaussian(*pair)
    samples, _ = drawn(pair)
    np.testing.assert_array_equal(numpy(prior.mean()), np.zeros(pair[1]))
    variance = numpy(prior.variance())
    assert variance.shape == (pair[1],)
    np.testing.assert_allclose(variance, samples.var(axis=0), rtol=6 * math.sqrt(2 / len(samples)))
    np.testing.assert_allclose(variance.mean(), samples.var(axis=0).mean(), rtol=0.01)


def test_an_integer_seed_decides_the_samples():
    """The same seed draws the same samples, another seed others; no two samples of a draw are alike."""
    prior = TiltedGaussian(2.0, 4)
    first, again, other = (numpy(prior.sample(6, seed=seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.any(np.all(first == other, axis=-1))
    assert len(np.unique(first, axis=0)) == 6


def check_shapes(prior, shape):
    sample = prior.sample(shape, seed=0)
    assert tuple(sample.shape) == (*shape, prior.event_size)
    assert tuple(prior.event_shape) == (prior.event_size,)
    assert tuple(prior.batch_shape) == ()
    densities = [function(sample) for function in (prior.log_prob, prior.kl, prior.quadratic_kl)]
    assert [tuple(density.shape) for density in densities] == [shape] * 3
    tensors = [sample, *densities, prior.mean(), prior.variance()]
    assert {keras.backend.standardize_dtype(tensor.dtype) for tensor in tensors} == {prior.dtype.name}


@pytest.mark.parametrize(("shape", "event_size"), [((2, 3), 4), ((), 4), ((3,), 1)], ids=str)
def test_shapes_and_dtype(shape, event_size):
    """A sample has the shape asked for, then the event size; log_prob and both KLs drop the last axis; all are float32."""
    check_shapes(TiltedGaussian(2.0, event_size), shape)


def test_shapes_and_dtype_in_float64(float64):
    """With dtype float64, samples, densities, mean and variance are float64."""
    check_shapes(TiltedGaussian(2.0, 4, dtype="float64"), (3,))


def test_methods_compile():
    """Sampling, log_prob and both KLs give the same inside a compiled function as outside."""
    prior = TiltedGaussian(2.0, 4)

    def everything(value):
        return prior.sample(6, seed=5), prior.log_prob(value), prior.kl(value), prior.quadratic_kl(value)

    value = keras.ops.convert_to_tensor(np.random.default_rng(0).normal(0, 3, (6, 4)), "float32")
    for inside, outside in zip(compiled(everything)(value), everything(value), strict=True):
        np.testing.assert_allclose(numpy(inside), numpy(outside), rtol=1e-4, atol=1e-4)


BAD_ARGUMENTS = [
    *(("tilt", value) for value in (-1, -1e-9, math.nan, math.inf, "5", None)),
    *(("event_size", value) for value in (0, -3, 2.5, 4.0, "4", None)),
]


@pytest.mark.parametrize(("name", "value"), BAD_ARGUMENTS)
def test_bad_arguments_are_value_errors(name, value):
    """A tilt that is no finite number >= 0, or an event size that is no positive integer, is named and shown."""
    arguments = {"tilt": 1.0, "event_size": 4, name: value}
    with pytest.raises(ValueError, match=rf"`{name}` must be .*{re.escape(f'Received: {value!r}')}$"):
        TiltedGaussian(**arguments)


@pytest.mark.parametrize("method", ["kl", "quadratic_kl", "log_prob"])
def test_vectors_of_another_size_are_refused(method):
    """A vector of the wrong length has no density here: an error, not a number."""
    with pytest.raises(ValueError, match=r"Expected \(\.\.\., 10\)\. Received: shape \(3, 5\)"):
        getattr(TiltedGaussian(5.0, 10), method)(keras.ops.zeros((3, 5)))
