"""Attention: whether images look familiar, set by set (a two-sample test) or image by image (a conformal p-value)."""

from typing import TYPE_CHECKING, Any

from keras_ood.attention.per_image_gate import PerImageGate
from keras_ood.encoders.encode import encode
from keras_ood.encoders.random_encoder import random_encoder
from keras_ood.encoders.trained_encoder import trained_encoder

if TYPE_CHECKING:
    from keras_ood.attention.mmd import MMDTest, TestResult, mmd_test
    from keras_ood.attention.set_gate import SetGate

__all__ = ["MMDTest", "PerImageGate", "SetGate", "TestResult", "encode", "mmd_test", "random_encoder", "trained_encoder"]


def __getattr__(name: str) -> Any:
    """Import what needs scikit-learn at first use."""
    if name in ("MMDTest", "TestResult", "mmd_test"):
        from keras_ood.attention import mmd

        return getattr(mmd, name)
    if name == "SetGate":
        from keras_ood.attention.set_gate import SetGate

        return SetGate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
