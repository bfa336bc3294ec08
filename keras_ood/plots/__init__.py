"""Pictures of what a detector sees, in one look: matplotlib figures, and `overlay`, an image."""

from keras_ood.plots.charts import (
    heat_map,
    latent_sphere,
    loss_curves,
    martingale,
    norm_histograms,
    roc_curves,
    score_histograms,
    severity_curves,
    training_curves,
)
from keras_ood.plots.galleries import error_maps, extremes, gallery, overlays
from keras_ood.plots.overlay import overlay
from keras_ood.plots.style import COLOURS

__all__ = [
    "COLOURS",
    "error_maps",
    "extremes",
    "gallery",
    "heat_map",
    "latent_sphere",
    "loss_curves",
    "martingale",
    "norm_histograms",
    "overlay",
    "overlays",
    "roc_curves",
    "score_histograms",
    "severity_curves",
    "training_curves",
]
