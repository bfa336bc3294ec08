"""The two-sample test."""

import numpy as np
import pytest

from keras_ood.attention import MMDTest, mmd_test

pytestmark = pytest.mark.once


def naive(x, reference, bandwidth):
    """Unbiased squared MMD by loops, straight from its definition."""

    def kernel(a, b):
        return np.exp(-np.sum((a - b) ** 2) / bandwidth)

    m, n = len(x), len(reference)
    within_x = sum(kernel(x[i], x[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    within_r = sum(kernel(reference[i], reference[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    across = sum(kernel(a, b) for a in x for b in reference) / (m * n)
    return within_x + within_r - 2 * across


@pytest.fixture
def points():
    return np.random.default_rng(1).standard_normal((60, 5))


def test_statistic_is_the_definition(points):
    """Statistic and bandwidth are those of a loop over all pairs."""
    x, reference = points[:12], points[12:40]
    test = MMDTest(reference)
    distances = [np.sum((reference[i] - reference[j]) ** 2) for i in range(28) for j in range(i)]
    assert test.bandwidth == pytest.approx(np.median(distances))
    assert test(x).statistic == pytest.approx(naive(x, reference, test.bandwidth), abs=1e-12)


def test_permuted_statistics_are_the_definition(points):
    """Each permuted statistic is that of the relabelled points: with as many exceeding as a loop counts."""
    x, reference = points[:10] + 0.5, points[10:40]
    test, pooled = MMDTest(reference), points[:40].copy()
    pooled[:10] = x
    generator, exceeding = np.random.default_rng(3), 0
    for _ in range(30):
        order = generator.permutation(40)
        exceeding += naive(pooled[order[:10]], pooled[order[10:]], test.bandwidth) >= naive(x, reference, test.bandwidth)
    assert test(x, permutations=30, seed=3).p_value == (exceeding + 1) / 31


def test_same_distribution_is_rejected_at_the_level():
    """Under the null hypothesis p <= 0.05 in about one test in twenty: inside the binomial 99.9 % interval of 300."""
    generator = np.random.default_rng(0)
    test = MMDTest(generator.standard_normal((150, 4)))
    rejected = 0
    for trial in range(300):
        fresh = MMDTest(generator.standard_normal((60, 4)))  # a reference of its own: trials are independent
        rejected += fresh(generator.standard_normal((20, 4)), 99, trial).p_value <= 0.05
    assert 4 <= rejected <= 30
    assert test(generator.standard_normal((50, 4)) + 0.6).p_value == pytest.approx(1 / 101)


def test_float32_gives_the_same_answer(points):
    """float32 samples give the statistic to six digits."""
    exact, single = mmd_test(points[:20], points[20:]), mmd_test(points[:20].astype("float32"), points[20:].astype("float32"))
    assert single.statistic == pytest.approx(exact.statistic, abs=1e-6)


def test_seed_decides_the_permutations(points):
    """A seed repeats a p-value exactly."""
    values = {mmd_test(points[:20] + 0.3, points[20:], seed=seed).p_value for seed in (0, 0, 1, 2, 3)}
    assert mmd_test(points[:20] + 0.3, points[20:], seed=0).p_value == mmd_test(points[:20] + 0.3, points[20:]).p_value
    assert len(values) > 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda points: mmd_test(points[:1], points), r"at least 2 points.*Received: shape=\(1, 5\)"),
        (lambda points: mmd_test(points[0], points), r"Received: shape=\(5,\)"),
        (lambda points: mmd_test(points[:, :3], points), r"5 features. Received: shape=\(60, 3\)"),
        (lambda points: mmd_test(points * np.nan, points), "finite"),
        (lambda points: mmd_test(points, points, permutations=0), "Received: 0"),
        (lambda points: mmd_test(points, np.ones((9, 5))), "points that differ.*Received"),
    ],
)
def test_bad_samples(points, call, message):
    """Samples without a test are refused."""
    with pytest.raises(ValueError, match=message):
        call(points)
