"""How far apart frames must be: known processes give what is known of them."""

import numpy as np
import pytest
from scipy.signal import lfilter

from keras_ood.monitoring import suggested_thinning

pytestmark = pytest.mark.once

GENERATOR = np.random.default_rng(0)


def test_independent_scores_need_none():
    """One frame is as good as the next, whatever the scores' law."""
    assert suggested_thinning(GENERATOR.normal(size=5000)) == 1
    assert suggested_thinning(np.exp(3 * GENERATOR.normal(size=5000))) == 1


@pytest.mark.parametrize("correlation", [0.5, 0.9, 0.97])
def test_an_autoregressive_process(correlation):
    """Twice its autocorrelation time (1 + r) / (1 - r); the correlation left is small."""
    scores = lfilter([1], [1, -correlation], GENERATOR.normal(size=60_000))
    every = suggested_thinning(scores)
    assert every == pytest.approx(2 * (1 + correlation) / (1 - correlation), rel=0.2)
    assert correlation**every < 0.025


@pytest.mark.parametrize("times", [2, 5, 30])
def test_repeated_frames(times):
    """Frames shown several times are at least as far apart as that."""
    every = suggested_thinning(np.repeat(GENERATOR.normal(size=4000), times))
    assert times < every <= 3 * times


def test_errors():
    """Too few, not finite, never changing, and too short for how long they depend."""
    with pytest.raises(ValueError, match=r"Received: \(99,\)"):
        suggested_thinning(np.arange(99))
    with pytest.raises(ValueError, match="finite"):
        suggested_thinning(np.full(200, np.nan))
    with pytest.raises(ValueError, match=r"Received: 200 times 1\.0"):
        suggested_thinning(np.ones(200))
    with pytest.raises(ValueError, match="too few for frames that depend so long"):
        suggested_thinning(np.arange(200))
