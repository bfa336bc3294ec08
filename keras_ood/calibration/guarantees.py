"""What calibration images guarantee: false positive rates of one calibration, bounds on them, and how many images they take.

The scores of `n` calibration images cut those of in-distribution images into `n + 1` parts. Where the `r` highest parts are
flagged, the share of in-distribution images that is flagged follows `Beta(r, n + 1 - r)` over calibrations, whatever the
detector (exact for continuous scores, an upper bound with ties).
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

CONFIDENCE = 0.95
"""With which a bound is told where no other is asked for."""


def rank(images: int, fpr: float) -> int:
    """Return how many parts may be flagged so that on average over calibrations at most `fpr` of the images are.

    Args:
        images: `n`, number of calibration images.
        fpr: False positive rate to hold.

    Raises:
        ValueError: `fpr` is outside [1 / (n + 1), 1).
    """
    count = images + 1
    if not 1 / count <= fpr < 1:
        raise ValueError(
            f"With {images} calibration images `fpr` must be at least 1 / (n + 1) = {1 / count:.3g} and below 1; "
            f"calibrate on more images for a smaller one. Received: fpr={fpr}"
        )
    found = math.floor(fpr * count)  # by the division that p-values are made of: the product may round across
    found += (found + 1) / count <= fpr
    found -= found / count > fpr
    return found


def true_fpr(images: Any, flagged: Any) -> Any:
    """Return the law of the share of in-distribution images in the `flagged` highest parts, over calibrations: SciPy's `beta`.

    Source: Vovk, "Conditional validity of inductive conformal predictors", 2012.
    """
    from scipy.stats import beta  # here: it takes a second to import

    return beta(flagged, images + 1 - flagged)


def false_alarms(images: int, flagged: int, count: int) -> Any:
    """Return the law of how many of `count` in-distribution images are flagged, over calibrations: SciPy's `betabinom`."""
    from scipy.stats import betabinom  # here: it takes a second to import

    return betabinom(count, flagged, images + 1 - flagged)


def promise(images: int, fpr: float) -> str:
    """Return what `threshold(fpr)` of a calibration with so many images promises, in words.

    Examples:
        >>> promise(2_000, 0.05)
        '5 % on average over calibrations; of this one, of 2,000 images, at most 5.9 % with 95 % confidence'
    """
    from scipy.special import betaincinv  # a quantile of `true_fpr`, without the second that `scipy.stats` takes

    flagged = rank(images, fpr)
    bound = 100 * betaincinv(flagged, images + 1 - flagged, CONFIDENCE)
    digit = 10.0 ** (math.floor(math.log10(bound)) - 1)  # two digits, rounded up
    return (
        f"{100 * fpr:.3g} % on average over calibrations; of this one, of {images:,} images, at most "
        f"{digit * math.ceil(bound / digit):.3g} % with {100 * CONFIDENCE:g} % confidence"
    )


def conditional_rank(images: int, fpr: float, confidence: float) -> int:
    """Return how many parts may be flagged so that of one calibration at most `fpr` of the images are, with this confidence.

    Args:
        images: As in `rank`.
        fpr: As in `rank`.
        confidence: Probability over the calibration images, between 0 and 1.

    Raises:
        ValueError: There is no such number, or the confidence is none.
    """
    _check_confidence(confidence)
    needed = images_needed(fpr, confidence=confidence)
    if images < needed:
        raise ValueError(
            f"That at most `fpr` are flagged with a confidence of {confidence:g} takes {needed:,} calibration images. "
            f"Received: fpr={fpr}, {images:,} images"
        )
    ranks = np.arange(1, rank(images, fpr) + 1)
    held = true_fpr(images, ranks).cdf(fpr) >= confidence
    return int(ranks[held][-1])


def images_needed(at_most: float, fpr: float | None = None, confidence: float = CONFIDENCE) -> int:
    """Return how many calibration images keep the false positive rate of one calibration below a bound.

    Args:
        at_most: Bound on the share of in-distribution images that is flagged.
        fpr: Rate that `threshold(fpr)` holds on average, below the bound. None: the threshold is chosen for the bound,
            `threshold(at_most, confidence)`, and the number is that from which on there is one.
        confidence: Probability over the calibration images with which the bound holds.

    Returns:
        The least `n` so that `n` images are enough, and every larger number.

    Raises:
        ValueError: No number is enough.

    Examples:
        >>> images_needed(0.05), images_needed(0.06, fpr=0.05)
        (59, 1380)
    """
    _check_confidence(confidence)
    if not (0 < at_most < 1 and (fpr is None or 0 < fpr < at_most)):
        raise ValueError(f"It takes 0 < fpr < at_most < 1. Received: at_most={at_most}, fpr={fpr}")
    if fpr is None:
        return math.ceil(math.log1p(-confidence) / math.log1p(-at_most))

    def enough(images: np.ndarray | int, flagged: int) -> np.ndarray:
        return np.asarray(true_fpr(images, flagged).cdf(at_most) >= confidence)

    def fewest(flagged: int) -> int:  # images of which as many parts are flagged: the rate is largest then
        return math.ceil(flagged / fpr) - 1

    upper = 1
    while not enough(fewest(upper), upper):
        upper *= 2
    lower = upper // 2  # parts of which the fewest images are not enough, or 0
    while upper - lower > 1:
        middle = (lower + upper) // 2
        lower, upper = (lower, middle) if enough(fewest(middle), middle) else (middle, upper)
    if lower == 0:
        return fewest(1)
    between = np.arange(fewest(lower), fewest(upper))  # `lower` parts flagged: the more images, the fewer of others
    return int(between[0] + len(between) - np.sum(enough(between, lower)))


def simultaneous_bounds(images: int, confidence: float, bound: str = "simes") -> np.ndarray:
    """Return what the shares of in-distribution images in the 1, 2, ... `n + 1` highest parts stay below, all at once.

    Args:
        images: `n`, number of calibration images.
        confidence: Probability over the calibration images, between 0 and 1.
        bound: One of `BOUNDS`.

    Returns:
        `(n + 1,)` float64, not falling, the last one 1.
    """
    _check_confidence(confidence)
    if bound not in BOUNDS:
        raise ValueError(f"`bound` must be one of {list(BOUNDS)}. Received: {bound!r}")
    return np.asarray(np.append(BOUNDS[bound](images, 1 - confidence), 1.0))


def _simes(images: int, risk: float) -> np.ndarray:
    """The generalised Simes inequality (Sarkar, 2008) with half of the images: tight for the small shares."""
    from scipy.special import gammaln

    half = images // 2
    below = np.arange(images, 0.0, -1.0)  # scores at or below the r-th highest
    with np.errstate(invalid="ignore"):
        products = np.where(below >= half, gammaln(below + 1) - gammaln(below - half + 1), -np.inf)  # of `half` numbers
    return np.asarray(-np.expm1((math.log(risk) + products - products[0]) / half))


def _dkw(images: int, risk: float) -> np.ndarray:
    """The one-sided Dvoretzky-Kiefer-Wolfowitz inequality (Massart, 1990): the same margin everywhere."""
    margin = math.sqrt(math.log(1 / min(risk, 0.5)) / (2 * images))
    return np.minimum(np.arange(images) / images + margin, 1.0)


BOUNDS: dict[str, Callable[[int, float], np.ndarray]] = {"simes": _simes, "dkw": _dkw}
"""Bounds on all shares at once: functions of the number of images and of the risk that one of them is wrong."""


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must be between 0 and 1. Received: {confidence}")
