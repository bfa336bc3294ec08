"""A test martingale: evidence against "nothing has changed" that may be looked at all the time."""

import math

import numpy as np

BETS = ((0.1, 1.0), (0.4, 1.0), (0.7, 1.0), (0.9, 1.0), (1.0, 0.3), (1.0, 0.8), (3.0, 3.0))
"""Each bet's a and b: on odd images, from a flood of them to a trickle; on images that are too usual; on a frozen camera."""

_SMALLEST = 2.0**-53  # of a p-value, and of its distance from 1: densities have no value there


class ConformalMartingale:
    """Capital that bets against p-values being independent and uniform.

    Every bet is a density on 0..1, whose mean under a uniform p-value is 1, `f_k` of the law Beta(a_k, b_k). One unit of
    capital sleeps at the start, and at every step `t` some of it wakes, an equal part on each of the `K` bets:

        asleep     S_t = 1 / log2(t + 2),   S_0 = 1
        bet k      C_k,t = (C_k,t-1 + (S_t-1 - S_t) / K) f_k(p_t),   C_k,0 = 0
        martingale M_t = S_t + C_1,t + ... + C_K,t

    So `M` mixes over all bets and all moments at which a change may have begun. Where nothing has changed it is a martingale
    that begins at 1 and never is negative, hence

        P(M_t >= 1 / alpha for some t, ever) <= alpha                      (Ville's inequality)

    whenever and however often one looks. A change after `t` quiet steps costs log(t) + 2 log log(t) nats, which a few odd
    images pay, and not all that was lost while betting in vain. All is computed in logarithms, in float64. P-values
    nearer than 2^-53 to 0 or 1 are taken to be there: the mean of a bet may so be below 1, by 3 % at most, never above.

    Args:
        streams: Shape of the streams that are watched side by side; `()` for one.

    Attributes:
        steps: How many p-values of each were taken.
        capitals: `(*streams, K)`, log C_k.
        plausibility: `(*streams, K)`, the log of the largest part of C_k that woke at one moment.
        starts: `(*streams, K)`, that moment.

    Source: Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005; Volkhonskiy, Burnaev, Nouretdinov,
    Gammerman, Vovk, "Inductive conformal martingales for change-point detection", PMLR 60, 2017; Vovk et al., "Retrain or
    not retrain: conformal test martingales for change-point detection", PMLR 152, 2021; Ville, "Etude critique de la notion
    de collectif", 1939.
    """

    def __init__(self, streams: tuple[int, ...] = ()) -> None:
        shape = (*streams, len(BETS))
        self.steps = 0
        self.capitals, self.plausibility = np.full(shape, -np.inf), np.full(shape, -np.inf)
        self.starts = np.zeros(shape, np.int64)

    def update(self, p_values: np.ndarray | float) -> np.ndarray:
        """Take the next p-value of each stream and return log M, `(*streams,)` float64, in nats.

        Args:
            p_values: `(*streams,)` in 0..1.
        """
        waking = math.log(asleep(self.steps) - asleep(self.steps + 1)) - math.log(len(BETS))
        gains = log_bets(p_values)
        self.starts = np.where(waking > self.plausibility, self.steps, self.starts)
        self.plausibility = np.maximum(self.plausibility, waking) + gains
        self.capitals = np.logaddexp(self.capitals, waking) + gains
        self.steps += 1
        return self.log_value

    @property
    def log_value(self) -> np.ndarray:
        """The log of M, `(*streams,)` in nats."""
        return np.asarray(np.logaddexp(np.logaddexp.reduce(self.capitals, axis=-1), math.log(asleep(self.steps))))

    @property
    def change(self) -> np.ndarray:
        """The most plausible step, from 0, of the first p-value after a change, `(*streams,)`; it says nothing of whether."""
        likeliest = np.argmax(self.plausibility, axis=-1)[..., None]
        return np.asarray(np.take_along_axis(self.starts, likeliest, axis=-1)[..., 0])


def asleep(steps: int) -> float:
    """The capital that no bet has after so many steps."""
    return 1 / math.log2(steps + 2)


def log_bets(p_values: np.ndarray | float) -> np.ndarray:
    """Return the log-density of every bet, `(..., K)`, at p-values `(...)`."""
    p_values = np.clip(np.asarray(p_values, np.float64), _SMALLEST, 1 - _SMALLEST)[..., None]
    return np.asarray(_A * np.log(p_values) + _B * np.log1p(-p_values) - _NORM)


_A, _B = (np.array(column) - 1 for column in zip(*BETS, strict=True))
_NORM = np.array([math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b) for a, b in BETS])
