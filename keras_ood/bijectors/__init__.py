"""Bijectors of image flows, built on call from tensors: none owns a variable. TFP bijectors, on TensorFlow and JAX alike."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from keras_ood.bijectors.act_norm import ActNorm
    from keras_ood.bijectors.attention_coupling import AttentionCoupling
    from keras_ood.bijectors.chain import Chain
    from keras_ood.bijectors.convolution import InvertibleConvolution
    from keras_ood.bijectors.factor_out import FactorOut
    from keras_ood.bijectors.image_bijector import ImageBijector
    from keras_ood.bijectors.permutation import ChannelPermutation
    from keras_ood.bijectors.squeeze import Squeeze

# At first use: TensorFlow Probability takes seconds to import.
__getattr__, _, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "act_norm": ["ActNorm"],
        "attention_coupling": ["AttentionCoupling"],
        "chain": ["Chain"],
        "convolution": ["InvertibleConvolution"],
        "factor_out": ["FactorOut"],
        "image_bijector": ["ImageBijector"],
        "permutation": ["ChannelPermutation"],
        "squeeze": ["Squeeze"],
    },
)

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
