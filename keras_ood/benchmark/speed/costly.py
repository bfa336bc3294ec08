"""Costly scores and tests against the loop that one would write first."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_ood.attention import mmd
from keras_ood.benchmark.speed.comparison import Comparison, compare
from keras_ood.models import TiltedVAE

PERMUTATIONS = 100
ALLOWANCE = 3.0  # ours takes all cores, the loop one: whatever else takes a core costs ours alone


def comparisons() -> Iterator[Comparison]:
    """Yield the rows."""
    detector = TiltedVAE((32, 32, 1), latent_dim=10, tilt=15.0)
    images = np.random.default_rng(0).integers(0, 256, (256, 32, 32, 1), np.uint8)

    def regret(count: int, batch_size: int) -> Any:
        options = {"batch_size": batch_size, "progress": False}
        return (lambda: detector.score(images[:count], "likelihood_regret", **options)), count

    yield compare(
        "likelihood_regret, 256 at once: one image at a time, same compiled step",
        regret(256, 256),
        regret(4, 1),
        goal=20.0,
        allowance=ALLOWANCE,
    )
    generator = np.random.default_rng(0)
    x, reference = generator.standard_normal((250, 32)), generator.standard_normal((5000, 32))
    test = mmd.MMDTest(reference)
    kernel = test.pooled_kernel(x)
    ours = (lambda: test(x, PERMUTATIONS), PERMUTATIONS)
    theirs = (lambda: _loop(kernel, len(x), 5), 5)
    yield compare(
        "MMD test, 250 against 5,000: loop over permutations of a prepared kernel",
        ours,
        theirs,
        "permutations/s",
        goal=10.0,
        rounds=3,
        allowance=ALLOWANCE,
    )


def _loop(kernel: np.ndarray, m: int, permutations: int) -> list[float]:
    """The statistic of each relabelling of a pooled kernel by itself, the first `m` points taken for the sample."""
    generator, n = np.random.default_rng(0), len(kernel) - m
    found = []
    for _ in range(permutations):
        order = generator.permutation(m + n)
        shuffled = kernel[np.ix_(order, order)]
        within = shuffled[:m, :m].sum() / (m * (m - 1)) + shuffled[m:, m:].sum() / (n * (n - 1))
        found.append(float(within - 2 * shuffled[:m, m:].mean()))
    return found
