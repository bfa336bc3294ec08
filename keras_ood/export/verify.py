"""What a runtime gives, compared with what the detector gives: before anything is written."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_ood.calibration import NOMINAL_FPR
from keras_ood.export.calibrated_pass import CalibratedPass
from keras_ood.export.formats import Outputs
from keras_ood.export.input_shape import InputShape

TOLERANCE = 1e-4  # of a score, relative to the largest |score| or 1
AGREEMENT = 0.98  # of the ranks, at least


def examples(input_shape: InputShape, own_shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
    """Yield batches of eight uint8 images of noise: of the size that an export takes, or of several where it takes any.

    From a black image to full contrast, half of them grey; as coarse as the detector's own pixels. (Finer noise is grey to the
    detector, and the contrast of an image without contrast is made of rounding.)
    """
    height, width, channels = input_shape
    rows, columns = own_shape[:2]
    if height is None or width is None:
        sizes = [(rows, columns), (2 * rows + 3, columns), (rows, 3 * columns + 5), (4 * rows // 5 + 1, 3 * columns // 4 + 1)]
    else:
        sizes = [(height, width)]
    noise = np.random.default_rng(0).random((8, rows, columns, channels)) * np.linspace(0, 256, 8)[:, None, None, None]
    noise[::2] = noise[::2, ..., :1]
    for height, width in sizes:
        down, across = np.arange(height) * rows // height, np.arange(width) * columns // width
        yield noise[:, down][:, :, across].astype(np.uint8)


def verify_order(scores: np.ndarray, expected: np.ndarray) -> None:
    """Raise a `RuntimeError` unless an export of reduced precision ranks in-distribution images as the detector does.

    No other images decide: which ones are out-of-distribution, nobody knows here.
    """
    from scipy.stats import spearmanr  # here: it takes a second to import

    agreement = float(spearmanr(scores, expected).statistic)
    if not agreement >= AGREEMENT:
        raise RuntimeError(
            "The exported model of reduced precision does not rank the calibration images as the detector does; nothing was "
            f"written. Expected: a rank correlation of {AGREEMENT:g} at least. Received: {agreement:.3f}"
        )


def verify(outputs: Outputs, expected: np.ndarray | None, maps: np.ndarray | None, calibrated_pass: CalibratedPass) -> None:
    """Raise a `RuntimeError` unless the runtime gives the detector's scores, and p-values, flags and maps that go with them.

    Scores at pixels are none of the outputs: theirs are the p-values between which these scores lie, up to `TOLERANCE`.

    Args:
        outputs: What the runtime gave.
        expected: The detector's scores; None where the export's are others, of reduced precision.
        maps: Scores at the pixels, None where there are no maps.
        calibrated_pass: What was exported.
    """
    expected = outputs["score"] if expected is None else expected
    tolerance = TOLERANCE * max(1.0, float(np.max(np.abs(expected))))
    p_values = calibrated_pass.calibration.p_values(outputs["score"])
    limits: dict[str, tuple[Any, Any]] = {
        "score": (expected - tolerance, expected + tolerance),
        "p_value": (p_values - TOLERANCE, p_values + TOLERANCE),
        "flag": (flags := outputs["p_value"] <= np.float32(NOMINAL_FPR), flags),
    }
    if maps is not None and calibrated_pass.maps is not None:
        around = TOLERANCE * max(1.0, float(np.max(np.abs(maps))))
        least, most = (calibrated_pass.maps.p_values(maps + step) for step in (around, -around))
        limits["heat_map"] = (least - TOLERANCE, most + TOLERANCE)
    for name, (least, most) in limits.items():
        found = outputs[name]
        if np.any(outside := ~((least <= found) & (found <= most))):
            place = np.argmax(outside)
            raise RuntimeError(
                f"The exported model does not give the detector's {name} in its runtime; nothing was written. "
                f"Expected: {least.flat[place]:g} to {most.flat[place]:g}. Received: {found.flat[place]:g}"
            )
