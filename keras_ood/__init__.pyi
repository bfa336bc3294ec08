from . import attention, bijectors, datasets, distributions, encoders, images, models, plots, scores
from .calibration.not_calibrated_error import NotCalibratedError
from .evaluation.evaluate import evaluate
from .hub.handles import list_models
from .hub.preset import PresetError
from .loading import from_pretrained
from .models import Detector
from .monitoring import Monitor
from .training.finetune import finetune

__version__: str

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
