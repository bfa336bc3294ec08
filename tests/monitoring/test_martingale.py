"""The martingale: its bets are densities, its expectation never moves, and it is what its docstring says."""

import numpy as np
import pytest
from scipy import stats

from keras_ood.monitoring.martingale import BETS, ConformalMartingale, asleep, log_bets

pytestmark = pytest.mark.once


def integral(function):
    """The integral over 0..1 of a function with poles of an order below 0.95 at the ends."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    places = 0.5 ** (1 / 20) * (nodes + 1) / 2
    weights = weights * 0.5 ** (1 / 20) / 2 * 20 * places**19
    return float(np.sum(weights * (function(places**20) + function(1 - places**20))))


@pytest.mark.parametrize("bet", range(len(BETS)))
def test_a_bet_is_a_density(bet):
    """It is SciPy's beta density, and integrates to 1 but for what lies within 2^-53 of the ends, where it may only lose."""
    points = np.linspace(0.01, 0.99, 50)
    law = stats.beta(*BETS[bet])
    np.testing.assert_allclose(log_bets(points)[:, bet], law.logpdf(points), rtol=1e-12, atol=1e-12)
    end = 2.0**-53
    within = law.cdf(1 - end) - law.cdf(end) + end * (law.pdf(end) + law.pdf(1 - end))
    mean = integral(lambda p: np.exp(log_bets(p)[..., bet]))
    assert mean == pytest.approx(within, abs=1e-4)
    assert 0.97 < mean < 1 + 1e-4


def test_the_expectation_of_the_next_value_is_the_value_now():
    """Whatever came before, the mean of M over a uniform next p-value is M, but for the ends, which lose less than 1 %."""
    generator = np.random.default_rng(0)
    for seen in (0, 1, 5, 200):
        before = ConformalMartingale()
        for p_value in generator.beta(0.7, 1, seen):
            before.update(p_value)

        def after(p_values, before=before):
            copied = ConformalMartingale()
            copied.__dict__ |= before.__dict__
            return np.exp(copied.update(p_values))

        assert 0.97 < integral(after) / np.exp(before.log_value) < 1 + 1e-4


def test_it_is_the_mixture_over_all_starts():
    """The recursion gives the sum over bets and starting moments, and the likeliest of these."""
    p_values = np.concatenate([np.random.default_rng(1).random(40), np.random.default_rng(2).beta(0.2, 1, 20)])
    martingale = ConformalMartingale()
    gains = log_bets(p_values)
    for steps in range(1, len(p_values) + 1):
        value = martingale.update(p_values[steps - 1])
        woke = np.array([asleep(start) - asleep(start + 1) for start in range(steps)]) / len(BETS)
        parts = woke[:, None] * np.exp(np.cumsum(gains[:steps][::-1], axis=0)[::-1])
        assert value == pytest.approx(np.log(asleep(steps) + parts.sum()), rel=1e-9)
        assert martingale.change == np.unravel_index(parts.argmax(), parts.shape)[0]
    assert 30 <= martingale.change <= 44


def test_streams_side_by_side():
    """A column is what a martingale of its own gives."""
    p_values = np.random.default_rng(3).random((30, 4))
    together = ConformalMartingale((4,))
    values = [together.update(line) for line in p_values][-1]
    alone = ConformalMartingale()
    assert values[2] == [alone.update(p_value) for p_value in p_values[:, 2]][-1]
    assert together.change[2] == alone.change


@pytest.mark.parametrize("p_values", [np.zeros(500), np.ones(500), np.full(500, 0.5)])
def test_nothing_overflows(p_values):
    """P-values of 0, of 1 and of a frozen camera leave numbers, all large."""
    martingale = ConformalMartingale()
    values = [float(martingale.update(p_value)) for p_value in p_values]
    assert np.all(np.isfinite(values))
    assert values[-1] > 100


def test_a_change_costs_little_after_a_long_quiet():
    """After 20,000 quiet images nine odd ones reach 1/0.01; at the start it takes two or more."""

    def delay(quiet):
        martingale = ConformalMartingale()
        for p_value in np.random.default_rng(4).random(quiet):
            martingale.update(p_value)
        images = 1
        while martingale.update(0.001) < np.log(100):
            images += 1
        return images

    assert delay(0) >= 2
    assert delay(20_000) <= 9
