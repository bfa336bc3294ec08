"""How far apart frames must be to be taken for independent."""

import numpy as np

_LEAST = 100  # scores


def suggested_thinning(scores: np.ndarray) -> int:
    """Return `every` for a `Monitor`: of a stream with such scores, one frame in so many is as good as independent.

    With `rho(j)` the correlation of the ranks of scores `j` frames apart, and the sum over `j` up to the last before the first
    that is not positive:

        integrated autocorrelation time   tau = 1 + 2 (rho(1) + rho(2) + ...)
        suggested                         2 tau, rounded up; 1 where tau is below 1.5, as it is of independent frames

    For a correlation that falls as `r^j` that of frames `2 tau` apart is below 0.02. It is an estimate from one piece of one
    stream, no promise; what is promised: were frames `every` or more apart independent, false alarms would be held.

    Args:
        scores: `(N,)`, at least 100, of consecutive frames of the usual kind.

    Raises:
        ValueError: Fewer, scores that are not finite, or a piece so short that no two independent frames are in it.

    Source: Sokal, "Monte Carlo methods in statistical mechanics", 1997; the window after Geyer, "Practical Markov chain Monte
    Carlo", 1992.
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 1 or len(scores) < _LEAST or not np.all(np.isfinite(scores)):
        raise ValueError(f"Thinning takes {_LEAST} finite scores or more, of consecutive frames. Received: {scores.shape}")
    from scipy.stats import rankdata  # here: it takes a second to import

    ranks = rankdata(scores) - (len(scores) + 1) / 2
    power = np.abs(np.fft.rfft(ranks, 2 * len(ranks))) ** 2  # twice as long: no frame meets one of the other end
    correlations = np.fft.irfft(power)[: len(ranks)]
    if correlations[0] == 0:
        raise ValueError(f"Scores that never change say nothing of how they depend. Received: {len(scores)} times {scores[0]}")
    correlations /= correlations[0]
    ends = np.flatnonzero(correlations <= 0)
    window = int(ends[0]) if len(ends) else len(ranks)
    time = 1 + 2 * float(np.sum(correlations[1:window]))
    every = int(np.ceil(2 * time)) if time >= 1.5 else 1
    if len(scores) < 20 * every:
        raise ValueError(
            f"{len(scores)} scores are too few for frames that depend so long: give {20 * every} or more. "
            f"Received: an autocorrelation time of {time:.0f} frames"
        )
    return every
