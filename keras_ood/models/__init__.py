"""The model families of the zoo."""

from keras_ood.models.detector import Detector
from keras_ood.models.ensemble import Ensemble
from keras_ood.models.inflow import InFlow
from keras_ood.models.tilted_vae import TiltedVAE

__all__ = ["Detector", "Ensemble", "InFlow", "TiltedVAE"]
