"""What arguments complete to. Where nothing fits, the shell goes on with paths.

Nothing here imports Keras but `data_sets`, through `keras_ood.datasets`.
"""

import glob
from pathlib import Path

from keras_ood.hub import handles, preset

METHODS = (
    "nll",
    "peak",
    "iwae",
    "reconstruction",
    "kl",
    "latent_norm",
    "shell_distance",
    "typicality",
    "input_complexity",
    "local_contrast",
    "likelihood_ratio",
    "likelihood_regret",
    "waic",
    "density_of_states",
    "path_norms",
    "ensemble",
    "gradient_norm",
    "mahalanobis",
    "knn",
    "fusion",
    "will_it_move",
)
"""The names of `keras_ood.scores`, whose import takes Keras along; a test holds them to the catalogue."""


def models(incomplete: str) -> list[str]:
    """Return zoo names, and the preset folders that begin with what was typed."""
    folders = [str(file.parent) for file in Path().glob(f"{glob.escape(incomplete)}*/{preset.PRESET}")]
    return [*handles.list_models(), *folders]


def presets() -> list[str]:
    """Return zoo names."""
    return handles.list_models()


def methods() -> list[str]:
    """Return the names of all scores."""
    return list(METHODS)


def data_sets() -> list[str]:
    """Return the names of data sets and synthetic sets."""
    from keras_ood import datasets

    return [*datasets.DATASETS, *datasets.GENERATED]
