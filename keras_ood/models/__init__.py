"""The model families of the zoo."""

from keras_ood.models.covariate_shift import CovariateShift
from keras_ood.models.detector import Detector
from keras_ood.models.ensemble import Ensemble
from keras_ood.models.family import Family
from keras_ood.models.feature_mixture import FeatureMixture
from keras_ood.models.inflow import InFlow
from keras_ood.models.tilted_vae import TiltedVAE
from keras_ood.models.transfer import Transfer, transfer

FAMILIES: dict[str, type[Detector]] = {"InFlow": InFlow, "TiltedVAE": TiltedVAE}
"""What a recipe can train, by name."""

__all__ = [
    "FAMILIES",
    "CovariateShift",
    "Detector",
    "Ensemble",
    "Family",
    "FeatureMixture",
    "InFlow",
    "TiltedVAE",
    "Transfer",
    "transfer",
]
