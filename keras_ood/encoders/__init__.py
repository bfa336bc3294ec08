"""Encoders: images to features, frozen networks of somebody's training among them."""

from keras_ood.encoders.embed import embed
from keras_ood.encoders.encode import encode
from keras_ood.encoders.feature_space import FeatureSpace
from keras_ood.encoders.frozen_encoder import FrozenEncoder
from keras_ood.encoders.map_encoder import MapEncoder
from keras_ood.encoders.map_space import MapSpace
from keras_ood.encoders.mixture_space import MixtureSpace
from keras_ood.encoders.random_encoder import random_encoder
from keras_ood.encoders.registry import Source, names, register
from keras_ood.encoders.trained_encoder import trained_encoder
from keras_ood.images.embeddings import Embeddings

__all__ = [
    "Embeddings",
    "FeatureSpace",
    "FrozenEncoder",
    "MapEncoder",
    "MapSpace",
    "MixtureSpace",
    "Source",
    "embed",
    "encode",
    "names",
    "random_encoder",
    "register",
    "trained_encoder",
]
