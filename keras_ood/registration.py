"""What Keras knows the package's classes by, before any of their modules is imported."""

from importlib import import_module
from typing import Any

import wrapt

PACKAGE = "keras_ood"

CLASSES = {
    "Conv2D": "networks.conv2d",
    "Conv2DTranspose": "networks.conv2d_transpose",
    "DepthwiseConv2D": "networks.depthwise_conv2d",
    "Ensemble": "models.ensemble",
    "FeatureMixture": "models.feature_mixture",
    "FeatureSpace": "encoders.feature_space",
    "FrozenEncoder": "encoders.frozen_encoder",
    "InFlow": "models.inflow",
    "MapEncoder": "encoders.map_encoder",
    "MapSpace": "encoders.map_space",
    "MixtureSpace": "encoders.mixture_space",
    "PerImageGate": "attention.per_image_gate",
    "Preprocessing": "images.preprocessing",
    "TiltedVAE": "models.tilted_vae",
}
"""The modules of the registered classes; a test holds them to what Keras has once all are imported."""


class _Awaited:
    """Stands in Keras' registry for a class, until its module, whose import puts the class itself there."""

    def __init__(self, module: str, name: str) -> None:
        self.__module__, self.__name__ = module, name

    def from_config(self, config: dict[str, Any]) -> Any:
        """As of the class (called by Keras, which loads a model)."""
        return getattr(import_module(self.__module__), self.__name__).from_config(config)


def register() -> None:
    """Let `keras.saving.load_model` find the classes as soon as Keras is imported, be it before or after this package."""
    wrapt.register_post_import_hook(_fill, "keras")


def _fill(keras: Any) -> None:
    known = keras.saving.get_custom_objects()
    for name, module in CLASSES.items():
        known.setdefault(f"{PACKAGE}>{name}", _Awaited(f"{PACKAGE}.{module}", name))
