"""Attention: whether images look familiar, set by set (a two-sample test) or image by image (a conformal p-value)."""

from typing import TYPE_CHECKING

import lazy_loader

from keras_ood.attention.per_image_gate import PerImageGate

if TYPE_CHECKING:
    from keras_ood.attention.mmd import MMDTest, TestResult, mmd_test
    from keras_ood.attention.set_gate import SetGate

# At first use: scikit-learn takes long to import.
__getattr__, _, _ = lazy_loader.attach(
    __name__, submod_attrs={"mmd": ["MMDTest", "TestResult", "mmd_test"], "set_gate": ["SetGate"]}
)

__all__ = ["MMDTest", "PerImageGate", "SetGate", "TestResult", "mmd_test"]
