"""A trained detector with its attention and its calibration."""

from typing import Any

from keras_ood.attention import PerImageGate
from keras_ood.models import Detector
from keras_ood.models.trainable import SETTLED_BY
from keras_ood.training.split import Split


def calibrated(detector: Detector, gate: PerImageGate | None, encoder: Any, split: Split) -> Detector:
    """Return a detector calibrated with what its gate leaves of the calibration part.

    Args:
        detector: Trained on `split.training`, without a gate.
        gate: The gate whose settings its own takes; that is fitted anew, on half of the calibration part. None for none.
        encoder: Of a gate over pixels; None over a detector's own encoder.
        split: Images as the detector sees them.
    """
    images = split.calibration
    if gate is not None:
        half = len(images) // 2  # groups of images stay whole, but for one
        kept, images = images[:half], images[half:]
        seen: tuple[Any, Any] = split.training, kept
        if detector.feature_space is not None:
            seen = detector.feature_space.gate_features(*seen, getattr(detector, "gate_positions", False))
        detector = detector.with_attention(gate.refitted(encoder, seen[0], seen[1]))
    detector.settle(split.training[:SETTLED_BY])
    detector.calibrate(images)
    return detector
