"""Ranks in a pool that grows: uniform, independent, for a full pool too."""

import numpy as np
import pytest
from scipy import stats

from keras_ood.calibration.conformal import Calibration
from keras_ood.monitoring import RankedPool

pytestmark = pytest.mark.once


def p_values(pool, scores, generator):
    return np.array([pool.p_value(score, generator) for score in scores.tolist()])


def test_a_rank_is_as_defined():
    """Among all scores before, ties broken by the generator's number."""
    scores = np.random.default_rng(0).integers(0, 30, 80).astype(np.float32)
    pool = RankedPool(Calibration(scores[:30]))
    found = p_values(pool, scores[30:], np.random.default_rng(7))
    uniform = np.random.default_rng(7).random(50)
    for place, value in enumerate(found):
        before, score = scores[: 30 + place], scores[30 + place]
        rank = np.sum(before > score) + uniform[place] * (np.sum(before == score) + 1)
        assert value == pytest.approx(rank / (len(before) + 1), abs=1e-15)
    np.testing.assert_array_equal(pool.scores, np.sort(scores))


@pytest.mark.parametrize("capacity", [100_000, 50])
@pytest.mark.parametrize("ties", [False, True])
def test_p_values_are_uniform_and_independent(capacity, ties):
    """With 50 calibration scores, in pools that grow and in full ones: three consecutive p-values fill each cell alike."""
    generator = np.random.default_rng(0)
    counts = np.zeros((6, 6, 6))
    for _ in range(3000):
        scores = generator.normal(size=59).astype(np.float32)
        if ties:
            scores = np.round(scores)
        pool = RankedPool(Calibration(scores[:50]), capacity)
        cells = (6 * p_values(pool, scores[50:], generator)).astype(int)
        for start in (0, 3, 6):
            counts[tuple(cells[start : start + 3])] += 1
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3
    assert len(pool) == min(capacity, 59)


def test_the_calibration_alone_shares_its_accidents():
    """The negative control: ranked among 20 fixed scores, p-values that follow each other are alike, and the test says so."""
    generator = np.random.default_rng(0)
    counts = np.zeros((6, 6, 6))
    for _ in range(3000):
        scores = generator.normal(size=29).astype(np.float32)
        ranks = np.sum(scores[:20] > scores[20:, None], axis=1) + generator.random(9)
        cells = (6 * ranks / 21).astype(int)
        for start in (0, 3, 6):
            counts[tuple(cells[start : start + 3])] += 1
    assert stats.chisquare(counts.ravel()).pvalue < 1e-6
