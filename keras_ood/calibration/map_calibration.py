"""Conformal calibration of maps: from scores at positions to p-values that hold for an image as a whole."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_ood.calibration.conformal import MINIMUM_SIZE, Calibration

LEAST = 2 * MINIMUM_SIZE  # maps: half of them say what is usual at each position
_FLOOR = 0.1  # of the mean deviation of all positions: where nothing ever varies, rounding does


class MapCalibration:
    """What the maps of held-out in-distribution images say of the positions of another one.

    With `m_i(p)` the score at position `p` of held-out image `i`, and `a(p)`, `b(p)` the mean and the standard deviation of
    every other one's:

        standardised   s(p) = (m(p) - a(p)) / b(p)
        largest        M_i = max_p s_i(p)                           of the images that `a` and `b` have not seen, `n` of them
        p-value        (1 + #{i: M_i >= s(p)}) / (n + 1)

    A position is ranked among the oddest positions of whole images. For a new image drawn as the held-out ones were the chance
    that any of its p-values is at most `f` is at most `f`: what is flagged in a clean image is flagged in a share `f` of clean
    images, however many positions there are. Each position alone keeps the promise all the more.

    Args:
        mean: `a`, `(h, w)`.
        scale: `b`, `(h, w)`, positive.
        largest: `M`, `(n,)`, `n >= 20`.

    Source: split conformal prediction with the maximum as the score; Westfall, Young, "Resampling-Based Multiple Testing",
    1993 (the maximum over positions).
    """

    def __init__(self, mean: np.ndarray, scale: np.ndarray, largest: np.ndarray) -> None:
        self.mean, self.scale = np.asarray(mean, np.float32), np.asarray(scale, np.float32)
        if self.mean.ndim != 2 or self.scale.shape != self.mean.shape or not np.all(self.scale > 0):
            raise ValueError(
                "`mean` and `scale` are maps (h, w), the scale positive. "
                f"Received: shapes {self.mean.shape} and {self.scale.shape}"
            )
        self.largest = Calibration(largest)

    @classmethod
    def of(cls, maps: np.ndarray) -> "MapCalibration":
        """Return the calibration that the maps `(N, h, w)` of different held-out images make.

        Raises:
            ValueError: Fewer than 40 maps, or numbers that are not finite.
        """
        maps = np.asarray(maps, np.float64)
        if maps.ndim != 3 or len(maps) < LEAST or not np.all(np.isfinite(maps)):
            raise ValueError(
                f"Maps are calibrated with those of at least {LEAST} different images, (N, h, w), finite. "
                f"Received: shape {maps.shape}, {np.sum(~np.isfinite(maps))} values that are not finite"
            )
        mean, deviation = maps[0::2].mean(axis=0), maps[0::2].std(axis=0)
        scale = np.maximum(deviation, max(_FLOOR * deviation.mean(), 1e-12))
        made = cls(mean, scale, np.zeros(MINIMUM_SIZE))
        return cls(mean, scale, made.standardised(maps[1::2].astype(np.float32)).max(axis=(1, 2)))

    def __len__(self) -> int:
        """Number of images that p-values rest on."""
        return len(self.largest)

    def standardised(self, maps: Any) -> Any:
        """Return `s`, float32 `(N, h, w)`, of maps `(N, h, w)`, arrays or tensors.

        Raises:
            ValueError: Maps of another grid.
        """
        if tuple(maps.shape[1:]) != self.mean.shape:
            raise ValueError(f"Maps must be of the calibration's grid {self.mean.shape}. Received: {tuple(maps.shape)}")
        return (maps - self.mean) / self.scale

    def p_values(self, standardised: np.ndarray) -> np.ndarray:
        """Return the p-values, float64, of standardised scores of any shape; small means out-of-distribution."""
        return self.largest.p_values(standardised)

    def p_values_of_tensors(self, standardised: Any) -> Any:
        """Return what `p_values` does, float32, see `Calibration.p_values_of_tensors`."""
        return self.largest.p_values_of_tensors(standardised)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return it as arrays by the constructor's names."""
        return {"mean": self.mean, "scale": self.scale, "largest": self.largest.scores}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "MapCalibration":
        """Return what `arrays` gave."""
        return cls(**{name: arrays[name] for name in ("mean", "scale", "largest")})
