"""The named data sets: a row of data each."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_ood.datasets import originals
from keras_ood.datasets.strips import read_strips
from keras_ood.names import did_you_mean

SPLITS = ("train", "test")


@dataclass(frozen=True)
class DataSet:
    """What a model card says of a data set, and how its original is had."""

    title: str
    image_shape: tuple[int, int, int]
    licence: str
    source: str
    original: Callable[[str], originals.Split]


DATASETS: dict[str, DataSet] = {
    "digits": DataSet(
        "scikit-learn digits",
        (8, 8, 1),
        "CC BY 4.0",
        "Alpaydin, Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998 (its test set)",
        originals.digits,
    ),
    "mnist": DataSet("MNIST", (28, 28, 1), "CC BY-SA 3.0", "LeCun, Cortes, Burges, 1998", originals.mnist),
    "fashion_mnist": DataSet("Fashion-MNIST", (28, 28, 1), "MIT", "Xiao, Rasul, Vollgraf, 2017", originals.fashion_mnist),
    "cifar10": DataSet("CIFAR-10", (32, 32, 3), "none stated; research, cited", "Krizhevsky, 2009", originals.cifar10),
    "cifar100": DataSet("CIFAR-100", (32, 32, 3), "none stated; research, cited", "Krizhevsky, 2009", originals.cifar100),
    "gtsrb": DataSet(
        "GTSRB", (32, 32, 3), "free for research, cited", "Stallkamp, Schlipsing, Salmen, Igel, 2012", originals.gtsrb
    ),
    "svhn": DataSet("SVHN", (32, 32, 3), "non-commercial use", "Netzer, Wang, Coates, Bissacco, Wu, Ng, 2011", originals.svhn),
}


def load(name: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return `(images, labels)` of a data set: uint8 `(N, height, width, channels)` and uint8 `(N,)`.

    Looked for in the folder named by the environment variable `KERAS_OOD_DATA`, then in `../shared/data` beside a checkout
    of this project, as `<name>_<split>.npz`; then the original is downloaded and checked. `digits` needs neither.

    Args:
        name: One of `keras_ood.datasets.DATASETS`.
        split: `"train"` or `"test"`.

    Raises:
        ValueError: Unknown name or split, or a file that is damaged.

    Examples:
        >>> images, labels = load("digits", "test")
        >>> images.shape, images.dtype, labels.shape
        ((360, 8, 8, 1), dtype('uint8'), (360,))
    """
    dataset = get(name)
    if split not in SPLITS:
        raise ValueError(f"`split` must be one of {SPLITS}. Received: {split!r}")
    local = local_file(name, split)
    images, labels = read_strips(local) if local else dataset.original(split)
    return images.reshape(-1, *dataset.image_shape), labels


def get(name: str) -> DataSet:
    """Return the row of a data set.

    Raises:
        ValueError: There is none of that name.
    """
    if name not in DATASETS:
        raise ValueError(f"The data set must be one of {sorted(DATASETS)}.{did_you_mean(name, DATASETS)} Received: {name!r}")
    return DATASETS[name]


def local_file(name: str, split: str) -> Path | None:
    """Return the local file of a data set, None where there is none."""
    folders = [Path(__file__).parents[3] / "shared" / "data"]
    if "KERAS_OOD_DATA" in os.environ:
        folders.insert(0, Path(os.environ["KERAS_OOD_DATA"]))
    return next((file for folder in folders if (file := folder / f"{name}_{split}.npz").is_file()), None)
