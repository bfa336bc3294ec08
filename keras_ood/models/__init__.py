"""The model families of the zoo."""

from keras_ood.models.detector import Detector
from keras_ood.models.ensemble import Ensemble
from keras_ood.models.inflow import InFlow
from keras_ood.models.tilted_vae import TiltedVAE
from keras_ood.models.transfer import Transfer, transfer

__all__ = ["Detector", "Ensemble", "InFlow", "TiltedVAE", "Transfer", "transfer"]
