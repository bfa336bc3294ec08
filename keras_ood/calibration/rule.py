"""What is flagged: a false positive rate that is held, or a false discovery rate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_ood.calibration import NOMINAL_FPR
from keras_ood.calibration.conformal import Calibration

Part = tuple[Any, Calibration]
"""An index of images among all, and the calibration that they are ranked in."""

_NULL = 0.5  # p-values above are taken for those of in-distribution images, in Storey's factor


@dataclass(frozen=True)
class Rule:
    """From p-values to flags.

    Attributes:
        fpr: False positive rate: at most this share of in-distribution images is flagged. None of both: 5 %.
        fdr: False discovery rate: of the images that are flagged among those judged together at most this share is
            in-distribution, on average (Benjamini, Hochberg, 1995; for conformal p-values Bates et al., 2023).
        confidence: None: the rate is held on average over calibrations. Otherwise by this very calibration, with this
            probability over the images that it was made of.
        storey: With `fdr`: take the share of in-distribution images from the p-values above one half (Storey, 2002; for
            conformal p-values Marandon, Lei, Mary, Roquain, "Adaptive novelty detection with false discovery rate guarantee",
            2024), where many images are out-of-distribution more of them are found.

    Raises:
        ValueError: Two rates, or numbers that are none.
    """

    fpr: float | None = None
    fdr: float | None = None
    confidence: float | None = None
    storey: bool = False

    def __post_init__(self) -> None:
        if self.fpr is not None and self.fdr is not None:
            raise ValueError(f"One rate is held, `fpr` or `fdr`. Received: fpr={self.fpr}, fdr={self.fdr}")
        if self.fdr is None and self.storey:
            raise ValueError(f"Storey's factor goes with `fdr`. Received: fpr={self.fpr}, storey=True")
        if not 0 < self.rate < 1:
            raise ValueError(f"A rate must be between 0 and 1. Received: fpr={self.fpr}, fdr={self.fdr}")

    def __str__(self) -> str:
        """The rate that is held, in words."""
        rate = f"a false {'positive' if self.fdr is None else 'discovery'} rate of {100 * self.rate:g} %"
        return rate if self.confidence is None else f"{rate} with {100 * self.confidence:g} % confidence"

    @property
    def rate(self) -> float:
        """The rate that is held, false positive or false discovery."""
        given = self.fpr if self.fdr is None else self.fdr
        return NOMINAL_FPR if given is None else given

    def require(self, calibration: Calibration) -> None:
        """Refuse what the calibration cannot promise, before any image is looked at.

        Raises:
            ValueError: It has too few images.
        """
        if self.fdr is None:
            calibration.level(self.rate, self.confidence)
        elif (
            not self.storey and (least := float(self._adjusted(np.ones(1) / (len(calibration) + 1), calibration)[0])) > self.fdr
        ):
            raise ValueError(
                f"With {len(calibration)} calibration images no p-value is below {least:.3g}, and nothing can be flagged at "
                f"such an `fdr`; calibrate on more images. Received: fdr={self.fdr}, confidence={self.confidence}"
            )

    def flags(self, p_values: np.ndarray, parts: Sequence[Part]) -> np.ndarray:
        """Return `(N,)` bool, True = out-of-distribution, of all images that are judged together.

        Args:
            p_values: `(N,)`, of `Calibration.p_values`.
            parts: Which of the images are ranked in which calibration; each image in one.

        Raises:
            ValueError: As `require`.
        """
        if self.fdr is not None:
            adjusted, half = np.array(p_values, np.float64), 0.0
            for index, calibration in parts:
                self.require(calibration)
                adjusted[index] = self._adjusted(p_values[index], calibration)
                count = len(calibration) + 1
                half = max(half, math.ceil(_NULL * count) / count)
            return _discoveries(adjusted, self.fdr, half if self.storey else None)
        flags = np.zeros(len(p_values), bool)
        for index, calibration in parts:
            flags[index] = p_values[index] <= calibration.level(self.rate, self.confidence)
        return flags

    def _adjusted(self, p_values: np.ndarray, calibration: Calibration) -> np.ndarray:
        return p_values if self.confidence is None else calibration.conditional(p_values, self.confidence)


def _discoveries(p_values: np.ndarray, fdr: float, null: float | None) -> np.ndarray:
    """The images that Benjamini and Hochberg flag; with Storey's factor of the p-values from `null` on."""
    from scipy.stats import false_discovery_control  # here: it takes a second to import

    if not len(p_values):
        return np.zeros(0, bool)
    share = 1.0 if null is None else (1 + np.sum(p_values >= null)) / (len(p_values) * (1 - null))
    return np.asarray(false_discovery_control(p_values) * share <= fdr)
