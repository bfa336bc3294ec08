"""Adversarial images: attacks on a small classifier, to see whether detectors notice them.

Own code: the well-kept attack libraries (ART, Foolbox, CleverHans) support neither Keras 3 nor attacks that differentiate
through a detector on both backends. Attacks are batched and take any function of images.
"""

from keras_ood.adversarial.classifier import build_classifier, train_classifier
from keras_ood.adversarial.deepfool import deepfool
from keras_ood.adversarial.fgsm import fgsm
from keras_ood.adversarial.gradients import gradient
from keras_ood.adversarial.pgd import pgd

__all__ = ["build_classifier", "deepfool", "fgsm", "gradient", "pgd", "train_classifier"]
