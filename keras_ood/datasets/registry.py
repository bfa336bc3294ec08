"""The named data sets: a row of data each."""

import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from keras_ood.datasets import class_names, originals
from keras_ood.datasets.textures import TEXTURES
from keras_ood.images.array_file import DAMAGED
from keras_ood.terminal.names import did_you_mean

SPLITS = ("train", "test")


@dataclass(frozen=True)
class DataSet:
    """What a model card says of a data set, and how its original is had.

    Attributes:
        title: Name for people.
        image_shape: `(height, width, channels)`.
        licence: Terms of the images.
        source: Authors and year.
        original: From a split's name to its images and labels.
        at_hand: Whether it is never downloaded.
        classes: Names of the labels 0, 1, ...; none where labels are numbers, or not told.
    """

    title: str
    image_shape: tuple[int, int, int]
    licence: str
    source: str
    original: Callable[[str], originals.Split]
    at_hand: bool = False
    classes: tuple[str, ...] = ()


DATASETS: dict[str, DataSet] = {
    "digits": DataSet(
        "scikit-learn digits",
        (8, 8, 1),
        "CC BY 4.0",
        "Alpaydin, Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998 (its test set)",
        originals.digits,
        at_hand=True,
    ),
    "mnist": DataSet("MNIST", (28, 28, 1), "CC BY-SA 3.0", "LeCun, Cortes, Burges, 1998", originals.mnist),
    "fashion_mnist": DataSet(
        "Fashion-MNIST",
        (28, 28, 1),
        "MIT",
        "Xiao, Rasul, Vollgraf, 2017",
        originals.fashion_mnist,
        classes=class_names.FASHION_MNIST,
    ),
    "cifar10": DataSet(
        "CIFAR-10",
        (32, 32, 3),
        "none stated; research, cited",
        "Krizhevsky, 2009",
        originals.cifar10,
        classes=class_names.CIFAR10,
    ),
    "cifar100": DataSet(
        "CIFAR-100",
        (32, 32, 3),
        "none stated; research, cited",
        "Krizhevsky, 2009",
        originals.cifar100,
        classes=class_names.CIFAR100,
    ),
    "gtsrb": DataSet(
        "GTSRB", (32, 32, 3), "free for research, cited", "Stallkamp, Schlipsing, Salmen, Igel, 2012", originals.gtsrb
    ),
    "svhn": DataSet("SVHN", (32, 32, 3), "non-commercial use", "Netzer, Wang, Coates, Bissacco, Wu, Ng, 2011", originals.svhn),
    **{
        name: DataSet(
            f"{name}, a drawn texture",
            (128, 128, 3),
            "CC0: drawn by this package",
            "keras_ood.datasets.textures",
            partial(originals.texture, name),
            at_hand=True,
        )
        for name in TEXTURES
    },
}


def load(name: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return `(images, labels)` of a data set: uint8 `(N, height, width, channels)` and uint8 `(N,)`.

    Looked for in the folder named by the environment variable `KERAS_OOD_DATA`, as `<name>.npz` with the arrays `x_train`,
    `y_train`, `x_test`, `y_test` of Keras' own files, as far as the set has them; else the original is downloaded, once, and
    checked. `digits` and the textures need neither.

    Args:
        name: One of `keras_ood.datasets.DATASETS`.
        split: `"train"` or `"test"`.

    Raises:
        ValueError: Unknown name or split, or a file that is damaged or of other images.

    Examples:
        >>> images, labels = load("digits", "test")
        >>> images.shape, images.dtype, labels.shape
        ((360, 8, 8, 1), dtype('uint8'), (360,))
    """
    dataset = get(name)
    if split not in SPLITS:
        raise ValueError(f"`split` must be one of {SPLITS}. Received: {split!r}")
    local = local_file(name, split)
    images, labels = _read(local, split, dataset.image_shape) if local else dataset.original(split)
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
    """Return the local file that holds a split of a data set, None where there is none."""
    if "KERAS_OOD_DATA" not in os.environ:
        return None
    path = Path(os.environ["KERAS_OOD_DATA"], f"{name}.npz")
    if not path.is_file():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            return path if f"x_{split}.npy" in archive.namelist() else None
    except zipfile.BadZipFile:
        return path  # reading it says what is wrong


def _read(path: Path, split: str, image_shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels of a split of a `.npz` file.

    Raises:
        ValueError: The file is damaged, or its arrays are no uint8 images of the set's shape with a label of 0..255 each.
    """
    shapes = [image_shape, image_shape[:2]] if image_shape[2] == 1 else [image_shape]
    try:
        # Opened here: NumPy leaves a file open that turns out to be no zip.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            images, labels = file[f"x_{split}"], file[f"y_{split}"].ravel()
        whole = labels.dtype.kind in "iu" and labels.size > 0
        fitting = images.dtype == np.uint8 and images.shape[1:] in shapes and len(images) == len(labels)
        if not (fitting and whole and labels.min() >= 0 and labels.max() <= 255):
            limits = f" from {labels.min()} to {labels.max()}" if whole else ""
            raise ValueError(
                f"{images.dtype} images of shape {images.shape}, {labels.dtype} labels of shape {labels.shape}{limits}"
            )
    except DAMAGED as error:
        raise ValueError(
            f"Expected a .npz file with uint8 images x_{split} of {' or '.join(map(str, shapes))} each, and as many labels "
            f"y_{split} of 0..255. Received: {path} ({error})"
        ) from error
    return images, labels.astype(np.uint8)
