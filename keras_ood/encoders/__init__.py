"""Encoders: images to the features in which an attention compares them."""

from keras_ood.encoders.encode import encode
from keras_ood.encoders.random_encoder import random_encoder
from keras_ood.encoders.trained_encoder import trained_encoder

__all__ = ["encode", "random_encoder", "trained_encoder"]
