"""What arguments complete to. Where nothing fits, the shell goes on with paths.

Nothing here imports Keras but `data_sets`, through `keras_ood.datasets`.
"""

import glob
from pathlib import Path


def models(incomplete: str) -> list[str]:
    """Return zoo names, and the preset folders that begin with what was typed."""
    from keras_ood.hub import handles, preset

    folders = [str(file.parent) for file in Path().glob(f"{glob.escape(incomplete)}*/{preset.PRESET}")]
    return [*handles.list_models(), *folders]


def presets() -> list[str]:
    """Return zoo names."""
    from keras_ood.hub import handles

    return handles.list_models()


def methods() -> list[str]:
    """Return the names of all scores: one a file, the file named after it."""
    files = Path(__file__).with_name("scores").glob("*.py")
    return sorted(file.stem for file in files if f'name = "{file.stem}"' in file.read_text())


def data_sets() -> list[str]:
    """Return the names of data sets and synthetic sets."""
    from keras_ood import datasets

    return [*datasets.DATASETS, *datasets.SYNTHETIC]
