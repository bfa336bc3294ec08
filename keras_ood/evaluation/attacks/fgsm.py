"""The fast gradient sign method."""

from collections.abc import Callable

import numpy as np

from keras_ood.evaluation.attacks.pgd import pgd


def fgsm(loss_gradient: Callable[..., np.ndarray], images: np.ndarray, *others: np.ndarray, epsilon: float) -> np.ndarray:
    """Return images one step of size `epsilon` along the sign of the gradient; arguments as in `pgd`.

    Source: Goodfellow, Shlens, Szegedy, "Explaining and Harnessing Adversarial Examples", ICLR 2015, arXiv 1412.6572.
    """
    return pgd(loss_gradient, images, *others, epsilon=epsilon, steps=1, step_size=epsilon, random_start=False)
