"""Adversarial images: attacks on a small classifier, to see whether detectors notice them.

Own code, because one of the attacks differentiates through a detector, on both backends. All images of a call are attacked at
once; attacks take any function of images.
"""

from keras_ood.evaluation.attacks.deepfool import deepfool
from keras_ood.evaluation.attacks.fgsm import fgsm
from keras_ood.evaluation.attacks.pgd import pgd

__all__ = ["deepfool", "fgsm", "pgd"]
