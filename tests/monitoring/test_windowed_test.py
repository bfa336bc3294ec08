"""Windows tested as sets."""

import numpy as np
import pytest
from scipy.stats import binomtest

import keras_ood
from keras_ood.attention import SetGate
from keras_ood.monitoring import WindowedTest

pytestmark = pytest.mark.once


@pytest.fixture
def gate():
    """A gate that takes features for images, with a reference of 200."""
    return SetGate(lambda features: features, np.random.default_rng(0).normal(size=(200, 3)), alpha=0.05)


def test_windows_are_of_consecutive_images(gate):
    """However the images come; the last ones wait for their window."""
    images = np.random.default_rng(1).normal(size=(75, 3))
    images[50:] += 2
    whole = WindowedTest(gate, 20).update(images)
    parts = WindowedTest(gate, 20)
    assert [record for start in range(0, 75, 7) for record in parts.update(images[start : start + 7])] == whole
    assert [(record.index, record.images) for record in whole] == [(0, 20), (20, 20), (40, 20)]
    assert whole[0].p_value == gate.test_features(images[:20], seed=0).p_value
    assert [record.alarm for record in whole] == [False, False, True]


def test_a_window_alarms_falsely_with_probability_alpha():
    """Over fresh references and windows, in the exact interval."""
    alarms = 0
    for seed in range(400):
        points = np.random.default_rng(seed).normal(size=(120, 2))
        gate = SetGate(lambda features: features, points[20:], alpha=0.1)
        alarms += WindowedTest(gate, 20).update(points[:20])[0].alarm
    assert binomtest(alarms, 400, 10 / 101).pvalue > 1e-3


def test_of_a_detector_with_a_gate(digits):
    """Its features, its reference, and alpha as asked."""
    detector = keras_ood.from_pretrained("inflow-mnist-pixels")
    test = WindowedTest.from_detector(detector, 10, alpha=0.01)
    assert (test.gate.alpha, test.gate.permutations) == (0.01, 200)
    (record,) = test.update(255 - digits[1][:10])
    assert record.alarm


def test_errors(gate, pretrained):
    """A detector without a gate, a window of one."""
    with pytest.raises(ValueError, match="Received: TiltedVAE"):
        WindowedTest.from_detector(pretrained, 10)
    with pytest.raises(ValueError, match="Received: 1"):
        WindowedTest(gate, 1)
