"""The alternative to a martingale: windows of a stream, each tested as a set."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_ood.attention import SetGate
from keras_ood.encoders.embed import in_memory
from keras_ood.models import Detector
from keras_ood.terminal.numbers import is_whole


@dataclass(frozen=True)
class WindowRecord:
    """What the test says of one window.

    Attributes:
        index: Number of its first image in the stream, from 0.
        images: How many it has.
        statistic: Squared MMD between it and the reference.
        p_value: Of the set as a whole.
        alarm: Whether that is at most alpha.
    """

    index: int
    images: int
    statistic: float
    p_value: float
    alarm: bool


class WindowedTest:
    """Tests every window of so many consecutive images against a reference, see `keras_ood.attention.SetGate`.

    It looks at features in place of scores, and so sees changes that leave the scores alone. It promises less than a `Monitor`:
    each window of in-distribution images has a false alarm with probability alpha, so that a long stream surely has one; a
    change is seen when its window is full, not before; one that is weaker than a window can show is never seen.

    Args:
        gate: Holds the features, the reference and alpha.
        window: Images in a window, at least 2.
    """

    def __init__(self, gate: SetGate, window: int) -> None:
        if not is_whole(window, 2):
            raise ValueError(f"`window` must be an integer of at least 2. Received: {window!r}")
        self.gate, self.window = gate, int(window)
        self.images = 0
        self._waiting: list[np.ndarray] = []

    @classmethod
    def from_detector(cls, detector: Detector, window: int, alpha: float = 0.01) -> "WindowedTest":
        """Return the test in the features of a detector's gate, against the reference that the gate keeps.

        Raises:
            ValueError: A detector without a gate for each image.
        """
        gate = detector.gate
        if gate is None or getattr(detector, "gate_positions", False):
            raise ValueError(
                "Windows are tested in the features of a gate: an InFlow with an attention for each image has one. For another "
                f"encoder: WindowedTest(SetGate.from_encoder(encoder, images), window). Received: {type(detector).__name__}"
            )
        of_gate = gate.set_gate()
        features: Callable[[Any], np.ndarray] = of_gate.features
        if gate.encoder is None:

            def features(images: Any) -> np.ndarray:
                with in_memory():
                    return np.asarray(of_gate.features(detector.feature_space.gate_view(detector.entrance.embed(images))))

        permutations = max(100, math.ceil(2 / alpha))
        return cls(SetGate(features, np.asarray(gate.reference_features), alpha, permutations), window)

    def update(self, images: Any) -> list[WindowRecord]:
        """Watch the next images, any accepted source, and return what is to say of each window that they complete."""
        return self.update_features(self.gate.features(images))

    def update_features(self, features: np.ndarray) -> list[WindowRecord]:
        """Watch the next images by their features, `(N, features)`; see `update`."""
        self._waiting.append(features)
        waiting = np.concatenate(self._waiting)
        records = []
        for start in range(0, len(waiting) - self.window + 1, self.window):
            result = self.gate.test_features(waiting[start : start + self.window], seed=self.images)
            alarm = result.p_value <= self.gate.alpha
            records.append(WindowRecord(self.images, self.window, result.statistic, result.p_value, alarm))
            self.images += self.window
        self._waiting = [waiting[len(records) * self.window :]]
        return records
