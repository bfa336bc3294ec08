"""Adversarial images: attacks on a small classifier, to see whether detectors notice them.

Own code, because one of the attacks differentiates through a detector, on both backends. All images of a call are attacked at
once; attacks take any function of images.
"""

from keras_ood.adversarial.classifier import build_classifier, train_classifier
from keras_ood.adversarial.deepfool import deepfool
from keras_ood.adversarial.fgsm import fgsm
from keras_ood.adversarial.pgd import pgd
from keras_ood.compiled import gradient

__all__ = ["build_classifier", "deepfool", "fgsm", "gradient", "pgd", "train_classifier"]
