"""The two-sample test with the maximum mean discrepancy (MMD)."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TestResult:
    """What a two-sample test found.

    Attributes:
        statistic: Unbiased squared MMD; near 0, and as often below as above it, where both samples have one distribution.
        p_value: `(b + 1) / (permutations + 1)`, with `b` the permutations whose statistic is at least as large.
    """

    __test__ = False  # the name is no invitation to pytest

    statistic: float
    p_value: float


class MMDTest:
    """Two-sample test of many samples against one reference, whose kernel is computed once.

    With `k(a, b) = exp(-|a - b|^2 / h)`, `h` the median squared distance between reference points, `x` of `m` and `r` of `n`
    points:

        MMD^2 = mean of k(x_i, x_j), i != j  +  mean of k(r_i, r_j), i != j  -  2 mean of k(x_i, r_j)

    The permuted statistics of all relabellings come from one product of their indicator matrix with the pooled kernel.

    Args:
        reference: `(n, features)`, at least 2 distinct points. Memory and time grow with `n^2`.

    Source: Gretton et al., "A Kernel Two-Sample Test", JMLR 2012; p-value after Phipson, Smyth, 2010.
    """

    def __init__(self, reference: np.ndarray) -> None:
        self.reference = _check_sample(reference, "reference")
        distances = _squared_distances(self.reference, self.reference)
        self.bandwidth = float(np.median(distances[np.triu_indices(len(distances), 1)]))
        if not self.bandwidth > 0:
            raise ValueError(f"`reference` must hold points that differ. Received: median distance {self.bandwidth}")
        self._kernel = self._to_kernel(distances)
        np.fill_diagonal(self._kernel, 0)

    def __call__(self, x: np.ndarray, permutations: int = 100, seed: int = 0) -> TestResult:
        """Test `x`, `(m, features)` with `m >= 2`, against the reference.

        Args:
            x: The sample.
            permutations: How many random relabellings; the smallest p-value is `1 / (permutations + 1)`.
            seed: Seed of the relabellings.
        """
        x = _check_sample(x, "x")
        if x.shape[1] != self.reference.shape[1]:
            raise ValueError(f"`x` must have the reference's {self.reference.shape[1]} features. Received: shape={x.shape}")
        if permutations < 1:
            raise ValueError(f"`permutations` must be a positive integer. Received: {permutations!r}")
        kernel = self.pooled_kernel(x)
        generator = np.random.default_rng(seed)
        labels = np.zeros((permutations + 1, len(kernel)), kernel.dtype)  # 1: counted as a point of x
        labels[0, : len(x)] = 1
        for row in labels[1:]:
            row[generator.permutation(len(kernel))[: len(x)]] = 1
        statistics = _statistics(kernel, labels, len(x))
        exceeding = int(np.sum(statistics[1:] >= statistics[0]))
        return TestResult(float(statistics[0]), (exceeding + 1) / (permutations + 1))

    def pooled_kernel(self, x: np.ndarray) -> np.ndarray:
        """Return the kernel of `x` and the reference together, `(m + n, m + n)`, its diagonal 0."""
        m = len(x)
        kernel = np.empty((m + len(self.reference),) * 2, self._kernel.dtype)
        kernel[:m, :m] = self._to_kernel(_squared_distances(x, x))
        kernel[:m, m:] = self._to_kernel(_squared_distances(x, self.reference))
        kernel[m:, :m] = kernel[:m, m:].T
        kernel[m:, m:] = self._kernel
        np.fill_diagonal(kernel, 0)
        return kernel

    def _to_kernel(self, squared_distances: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(-squared_distances / self.bandwidth))


def mmd_test(x: np.ndarray, reference: np.ndarray, permutations: int = 100, seed: int = 0) -> TestResult:
    """Test whether `x`, `(m, features)`, and `reference`, `(n, features)`, have one distribution; see `MMDTest`.

    Examples:
        >>> points = np.random.default_rng(0).standard_normal((100, 3))
        >>> mmd_test(points[:40] + 1.0, points[40:]).p_value < 0.05
        True
    """
    return MMDTest(reference)(x, permutations, seed)


def _statistics(kernel: np.ndarray, labels: np.ndarray, m: int) -> np.ndarray:
    """Unbiased squared MMD of every row of labels; the kernel's diagonal is 0."""
    n = len(kernel) - m
    to_x = labels @ kernel  # (rows, points): the one matrix product
    within_x = np.sum(to_x * labels, axis=1, dtype=np.float64)
    across = np.sum(to_x, axis=1, dtype=np.float64) - within_x
    within_reference = np.sum(kernel, dtype=np.float64) - 2 * across - within_x
    return np.asarray(within_x / (m * (m - 1)) + within_reference / (n * (n - 1)) - 2 * across / (m * n))


def _squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    from sklearn.metrics.pairwise import euclidean_distances  # here: `import keras_ood` needs no scikit-learn

    return np.asarray(euclidean_distances(x, None if y is x else y, squared=True))


def _check_sample(sample: np.ndarray, name: str) -> np.ndarray:
    sample = np.asarray(sample)
    if sample.ndim != 2 or len(sample) < 2 or not np.issubdtype(sample.dtype, np.floating) or not np.all(np.isfinite(sample)):
        raise ValueError(
            f"`{name}` must be finite floats (points, features), at least 2 points: the unbiased MMD is not defined for fewer. "
            f"Received: shape={sample.shape}, dtype={sample.dtype}"
        )
    return sample
