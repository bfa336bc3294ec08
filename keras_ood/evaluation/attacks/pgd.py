"""Projected gradient descent."""

from collections.abc import Callable

import numpy as np


def pgd(
    loss_gradient: Callable[..., np.ndarray],
    images: np.ndarray,
    *others: np.ndarray,
    epsilon: float,
    steps: int = 20,
    step_size: float | None = None,
    random_start: bool = True,
    seed: int = 0,
) -> np.ndarray:
    """Return images within `epsilon` of the given ones, in every number, that increase a loss.

    Args:
        loss_gradient: Gradient of the loss to increase, see `keras_ood.backend.compiled.gradient`.
        images: Float `(batch, height, width, channels)` in 0..1.
        *others: What `loss_gradient` takes after the images.
        epsilon: Bound of the change, in units of 0..1.
        steps: Number of steps of sign ascent.
        step_size: Size of each step; None for `2.5 epsilon / steps`.
        random_start: Whether to start at a uniform draw within the bound.
        seed: Seed of that draw.

    Returns:
        Float32 images in 0..1.

    Source: Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018, arXiv 1706.06083.
    """
    if not epsilon > 0 or steps < 1:
        raise ValueError(f"`epsilon` and `steps` must be positive. Received: epsilon={epsilon}, steps={steps}")
    low, high = (np.clip(images + change, 0, 1).astype(np.float32) for change in (-epsilon, epsilon))
    step = 2.5 * epsilon / steps if step_size is None else step_size
    attacked = images.astype(np.float32)
    if random_start:
        noise = np.random.default_rng(seed).uniform(-epsilon, epsilon, images.shape)
        attacked = np.clip(attacked + noise, low, high).astype(np.float32)
    for _ in range(steps):
        attacked = np.clip(attacked + step * np.sign(loss_gradient(attacked, *others)), low, high).astype(np.float32)
    return attacked
