"""Attention: whether images look familiar, set by set (a two-sample test) or image by image (a conformal p-value)."""

from keras_ood.attention.mmd import MMDTest, TestResult, mmd_test
from keras_ood.attention.per_image_gate import PerImageGate
from keras_ood.attention.set_gate import SetGate

__all__ = ["MMDTest", "PerImageGate", "SetGate", "TestResult", "mmd_test"]
