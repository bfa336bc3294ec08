"""What the spectrum of a detector says of one set of images."""

from dataclasses import dataclass

from keras_ood.calibration import NOMINAL_FPR
from keras_ood.evaluation.metrics import exact_interval

LEVELS = (0.01, NOMINAL_FPR)
"""False positive rates whose thresholds are looked at."""

PASSES = 0.9
"""Share of the images of a unit test that must be flagged at 5 %."""


@dataclass(frozen=True)
class SpectrumRow:
    """One set of images under the thresholds of the detector's calibration.

    Attributes:
        kind: `test`, in-distribution test images; `class`, those of one class; `mild`, mildly corrupted ones; `unit`, unit-test
            images; `ood`, an out-of-distribution set; `ood class`, one class of it.
        name: Name of the set, corruption or class.
        images: Number of them.
        flagged_at_1: Number flagged at a false positive rate of 1 %.
        flagged_at_5: The same at 5 %.
        auroc: The set against the in-distribution test images, the set positive; None for test images themselves.
        auroc_full: The same with the mildly corrupted images counted as in-distribution; None for those, too.
        fpr95: Share of in-distribution test images flagged when 95 % of the set are; None as for `auroc`.
        fpr95_full: As for `auroc_full`.
    """

    kind: str
    name: str
    images: int
    flagged_at_1: int
    flagged_at_5: int
    auroc: float | None = None
    auroc_full: float | None = None
    fpr95: float | None = None
    fpr95_full: float | None = None

    @property
    def passes(self) -> bool:
        """Whether a unit test is passed."""
        return self.share(NOMINAL_FPR) >= PASSES

    def share(self, fpr: float) -> float:
        """Return the share flagged at one of `LEVELS`: power of a set, false positives of test images."""
        return self._flagged(fpr) / self.images

    def interval(self, fpr: float) -> tuple[float, float]:
        """Return the ends of the exact 95 % interval of `share` over the images, the calibration as it is."""
        return exact_interval(self._flagged(fpr), self.images)

    def _flagged(self, fpr: float) -> int:
        return dict(zip(LEVELS, (self.flagged_at_1, self.flagged_at_5), strict=True))[fpr]
