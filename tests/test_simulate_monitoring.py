"""False alarms of a monitor on real scores of the zoo, as `tools/simulate_monitoring.py` simulates them, and its page."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

import keras_ood
from keras_ood.calibration.conformal import Calibration
from keras_ood.monitoring import RankedPool, suggested_thinning

ROOT = Path(__file__).parents[1]
PRESETS = ("tilted-vae-mnist-pixels", "tilted-vae-gtsrb-pixels")
pytestmark = pytest.mark.once


@pytest.fixture
def tool(tool):
    """The module."""
    return tool("simulate_monitoring")


@pytest.fixture(scope="module", params=PRESETS)
def scores(request):
    """What a preset of the zoo keeps of held-out images, thousands of real scores."""
    return keras_ood.from_pretrained(request.param).calibration().scores


def alarms(tool, p_values):
    """How many streams have an alarm at 0.05, and of how many."""
    return int(np.sum(tool.first_alarms(p_values) < p_values.shape[1])), len(p_values)


def test_the_simulation_ranks_as_a_pool_does(tool):
    """Blocks give what a pool gives one by one, ties and all."""
    scores = np.random.default_rng(0).integers(0, 200, 900).astype(np.float32)
    pool, generator = RankedPool(Calibration(scores[:100])), np.random.default_rng(1)
    expected = [pool.p_value(score, generator) for score in scores[100:].tolist()]
    found = tool.ranked(np.sort(scores[:100]), scores[100:], np.random.default_rng(1).random(800))
    np.testing.assert_array_equal(found, expected)


def test_false_alarms_are_held(tool, scores):
    """In 2,000 streams of 500 images: not above alpha, and as many as those of p-values that a generator draws as uniform."""
    sizes = tool.Sizes(bets=500)
    found, streams = alarms(tool, tool.p_values(partial(tool.together, scores, sizes), 2000))
    assert binomtest(found, streams).proportion_ci(0.99).low <= 0.05
    uniform, of_uniform = alarms(tool, np.random.default_rng(0).random((4000, 500)))
    interval = binomtest(found, streams).proportion_ci(0.999)
    assert interval.low <= uniform / of_uniform <= interval.high
    assert found > 0


def test_the_calibration_alone_does_not_hold_them(tool, scores):
    """The negative control: 4,000 images ranked among the same 200 scores alarm far more often than alpha."""
    sizes = tool.Sizes(bets=min(4000, len(scores) - 200))
    found, streams = alarms(tool, tool.p_values(partial(tool.together, scores, sizes), 300, growing=False))
    assert binomtest(found, streams).proportion_ci(0.999).low > 0.05


def test_dependent_frames_break_it_and_thinning_mends_it(tool, scores):
    """Each frame five times, or an AR(1) process: far above alpha; thinned as suggested: held, in 2,000 streams of 300 bets."""
    own = tool.Seen(scores, np.zeros(len(scores)), np.empty((len(scores), 0)))
    sizes = tool.Sizes(dependent_bets=300)
    for frames in (tool.repeated(5), tool.autoregressive(0.9)):
        found, streams = alarms(tool, tool.p_values(partial(tool.dependent, frames, own, 1, sizes), 300))
        assert binomtest(found, streams).proportion_ci(0.999).low > 0.05
        every = suggested_thinning(frames(np.random.default_rng(1), own, 20_000, 1))
        found, streams = alarms(tool, tool.p_values(partial(tool.dependent, frames, own, every, sizes), 2000))
        assert binomtest(found, streams).proportion_ci(0.99).low <= 0.05


def test_simulated_frames_are_every_so_manyth_of_one_stream(tool):
    """Runs of a class and repetitions keep their length; a thinned AR(1) process has its correlation's power."""
    own = tool.Seen(np.arange(100.0), np.arange(100) // 10, np.empty((100, 0)))
    generator = np.random.default_rng(0)
    shown = tool.repeated(6)(generator, own, 60, 2)
    assert (shown.reshape(20, 3) == shown[::3, None]).all()
    classes = tool.by_class(10)(generator, own, 500, 1) // 10
    assert (classes.reshape(50, 10) == classes[::10, None]).all()
    thinned = tool.autoregressive(0.9)(generator, own, 50_000, 3)
    assert np.corrcoef(thinned[1:], thinned[:-1])[0, 1] == pytest.approx(0.9**3, abs=0.03)
    assert np.bincount(thinned.astype(int)).min() > 300
