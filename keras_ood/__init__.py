"""keras_ood: pretrained, calibrated out-of-distribution detectors for Keras 3."""

import os
from importlib.metadata import version
from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING or "_KERAS_OOD_COMPLETE" not in os.environ:  # a shell that completes a word waits for no TensorFlow
    import keras

    if keras.backend.backend() not in ("tensorflow", "jax"):
        raise ImportError(
            "keras_ood runs on the Keras backends 'tensorflow' and 'jax': TensorFlow Probability has no substrate for others. "
            f"Set KERAS_BACKEND before Keras is imported. Received: {keras.backend.backend()!r}"
        )

    # Models and attention first: they register with Keras, so that `keras.saving.load_model` finds them.
    from keras_ood import attention, bijectors, datasets, distributions, encoders, images, models, scores
    from keras_ood.calibration.calibrated_scores import NotCalibratedError
    from keras_ood.hub.handles import list_models
    from keras_ood.hub.preset import PresetError
    from keras_ood.loading import from_pretrained
    from keras_ood.models import Detector

if TYPE_CHECKING:
    from keras_ood import plots
    from keras_ood.evaluation.evaluate import evaluate
    from keras_ood.monitoring import Monitor
    from keras_ood.training.finetune import finetune

# At first use: what needs scikit-learn or matplotlib, and what few need.
__getattr__, _, _ = lazy_loader.attach(
    __name__,
    ["plots"],
    {"evaluation.evaluate": ["evaluate"], "monitoring": ["Monitor"], "training.finetune": ["finetune"]},
)

__version__ = version("keras-ood")

__all__ = [
    "Detector",
    "Monitor",
    "NotCalibratedError",
    "PresetError",
    "attention",
    "bijectors",
    "datasets",
    "distributions",
    "encoders",
    "evaluate",
    "finetune",
    "from_pretrained",
    "images",
    "list_models",
    "models",
    "plots",
    "scores",
]
