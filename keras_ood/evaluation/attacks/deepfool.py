"""DeepFool, a minimal-norm attack."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_ood.backend.compiled import gradient


def deepfool(classifier: Callable[[Any], Any], images: np.ndarray, steps: int = 30, overshoot: float = 0.02) -> np.ndarray:
    """Return the nearest images, by the Euclidean norm and approximately, that a classifier puts into another class.

    At each step, with `f` the logits and `y` the first predicted class, the image moves to the nearest of the boundaries
    `f_k = f_y`, taken as planes; it stops once its class has changed.

    Args:
        classifier: From float images `(batch, height, width, channels)` to logits `(batch, classes)`.
        images: Float, in 0..1.
        steps: At most.
        overshoot: The change is made larger by this share at the end, to cross the boundary.

    Returns:
        Float32 images in 0..1.

    Source: Moosavi-Dezfooli, Fawzi, Frossard, "DeepFool", CVPR 2016, arXiv 1511.04599.
    """

    def difference(attacked: Any, own: Any, other: Any) -> Any:
        return keras.ops.sum(classifier(attacked) * (other - own), axis=-1)

    gap_gradient = gradient(difference)
    images = images.astype(np.float32)
    logits = _logits(classifier, images)
    own, one_hot = np.argmax(logits, axis=-1), np.eye(logits.shape[-1], dtype=np.float32)
    attacked = images.copy()
    for _ in range(steps):
        logits = _logits(classifier, np.clip(images + (1 + overshoot) * (attacked - images), 0, 1))
        active = np.argmax(logits, axis=-1) == own
        if not active.any():
            break
        logits = _logits(classifier, attacked)
        shortest, moves = np.full(len(images), np.inf), np.zeros_like(images)
        for other in range(logits.shape[-1]):
            slopes = gap_gradient(attacked, one_hot[own], np.repeat(one_hot[other : other + 1], len(images), axis=0))
            norms = np.sqrt(np.sum(slopes**2, axis=(1, 2, 3))) + 1e-12
            gaps = np.abs(logits[:, other] - logits[np.arange(len(images)), own])
            distances = np.where(own == other, np.inf, gaps / norms)
            nearer = distances < shortest
            lengths = (distances[nearer] + 1e-4) / norms[nearer]
            moves[nearer] = lengths[:, None, None, None] * slopes[nearer]
            shortest[nearer] = distances[nearer]
        attacked[active] += moves[active]
    return np.asarray(np.clip(images + (1 + overshoot) * (attacked - images), 0, 1), np.float32)


def _logits(classifier: Callable[[Any], Any], images: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(classifier(keras.ops.convert_to_tensor(images, "float32"))))
