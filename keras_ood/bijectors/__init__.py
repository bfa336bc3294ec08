"""Bijectors of image flows, built on call from tensors: none owns a variable. TFP bijectors, on TensorFlow and JAX alike."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_ood.bijectors.act_norm import ActNorm
    from keras_ood.bijectors.attention_coupling import AttentionCoupling
    from keras_ood.bijectors.chain import Chain
    from keras_ood.bijectors.convolution import InvertibleConvolution
    from keras_ood.bijectors.factor_out import FactorOut
    from keras_ood.bijectors.image_bijector import ImageBijector
    from keras_ood.bijectors.permutation import ChannelPermutation
    from keras_ood.bijectors.squeeze import Squeeze

_MODULES = {
    "ActNorm": "act_norm",
    "AttentionCoupling": "attention_coupling",
    "Chain": "chain",
    "ChannelPermutation": "permutation",
    "FactorOut": "factor_out",
    "ImageBijector": "image_bijector",
    "InvertibleConvolution": "convolution",
    "Squeeze": "squeeze",
}

__all__ = [
    "ActNorm",
    "AttentionCoupling",
    "Chain",
    "ChannelPermutation",
    "FactorOut",
    "ImageBijector",
    "InvertibleConvolution",
    "Squeeze",
]


def __getattr__(name: str) -> Any:
    """Import a bijector at first use: TensorFlow Probability takes seconds to import."""
    if name in _MODULES:
        return getattr(importlib.import_module(f"keras_ood.bijectors.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
