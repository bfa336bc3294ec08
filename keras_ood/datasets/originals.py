"""Downloads of the original data sets, each checked against its published checksum."""

import gzip
import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from keras_ood.datasets.textures import textures

Split = tuple[np.ndarray, np.ndarray]

_FASHION_MNIST = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_SVHN = "http://ufldl.stanford.edu/housenumbers/"
_GTSRB = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/"
# MD5 sums as published: Fashion-MNIST's README; torchvision's tables for SVHN and GTSRB, whose authors publish none.
_MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
    "GTSRB-Training_fixed.zip": "513f3c79a4c5141765e10e952eaa2478",
    "GTSRB_Final_Test_Images.zip": "c7e4e6327067d32654124b0fe9e82185",
    "GTSRB_Final_Test_GT.zip": "fe31e9c9270bbcd7b84b7f21a9d9d9e5",
}


def digits(split: str) -> Split:
    """scikit-learn's 1,797 digits of 8x8 pixels, part of the package: every fifth image is the test split."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = np.round(data.images * (255 / 16)).astype(np.uint8)
    is_test = np.arange(len(images)) % 5 == 0
    chosen = is_test if split == "test" else ~is_test
    return images[chosen], data.target[chosen].astype(np.uint8)


@lru_cache(maxsize=2)
def texture(name: str, split: str) -> Split:
    """A texture of `keras_ood.datasets.textures`: 1,000 images of seed 0 to train on, 300 of seed 1 to test with; one label."""
    count, seed = (1_000, 0) if split == "train" else (300, 1)
    images = textures(name, count, seed)
    images.setflags(write=False)  # one array for all who ask
    return images, np.zeros(count, np.uint8)


def mnist(split: str) -> Split:
    """MNIST, by Keras."""
    import keras

    images, labels = keras.datasets.mnist.load_data()[split == "test"]
    return images, labels


def fashion_mnist(split: str) -> Split:
    """Fashion-MNIST, in the IDX format of MNIST."""
    prefix = "train" if split == "train" else "t10k"
    images, labels = (
        gzip.decompress(_fetch(_FASHION_MNIST, name).read_bytes())
        for name in (f"{prefix}-images-idx3-ubyte.gz", f"{prefix}-labels-idx1-ubyte.gz")
    )
    return np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, offset=8)


def cifar10(split: str) -> Split:
    """CIFAR-10, by Keras."""
    import keras

    images, labels = keras.datasets.cifar10.load_data()[split == "test"]
    return images, labels.ravel()


def cifar100(split: str) -> Split:
    """CIFAR-100 with its 100 fine labels, by Keras."""
    import keras

    images, labels = keras.datasets.cifar100.load_data()[split == "test"]
    return images, labels.ravel()


def svhn(split: str) -> Split:
    """SVHN, cropped digits; label 10 is the digit 0."""
    from scipy.io import loadmat

    data = loadmat(_fetch(_SVHN, f"{split}_32x32.mat"))
    return np.moveaxis(data["X"], -1, 0), (data["y"].ravel() % 10).astype(np.uint8)


def gtsrb(split: str) -> Split:
    """German traffic signs, resized to 32x32 (bicubic); the training split is the corrected archive of 26,640 images."""
    if split == "train":
        with zipfile.ZipFile(_fetch(_GTSRB, "GTSRB-Training_fixed.zip")) as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".ppm"))
            labels = [int(Path(name).parent.name) for name in names]
            return _read_signs(archive, names), np.asarray(labels, np.uint8)
    with zipfile.ZipFile(_fetch(_GTSRB, "GTSRB_Final_Test_GT.zip")) as archive:
        rows = archive.read("GT-final_test.csv").decode().splitlines()[1:]
    classes = {row.split(";")[0]: int(row.split(";")[-1]) for row in rows}
    with zipfile.ZipFile(_fetch(_GTSRB, "GTSRB_Final_Test_Images.zip")) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".ppm"))
        labels = [classes[Path(name).name] for name in names]
        return _read_signs(archive, names), np.asarray(labels, np.uint8)


def _read_signs(archive: zipfile.ZipFile, names: list[str]) -> np.ndarray:
    images = np.empty((len(names), 32, 32, 3), np.uint8)
    for index, name in enumerate(names):
        with archive.open(name) as file, Image.open(file) as image:
            images[index] = np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.BICUBIC))
    return images


def fetch(url: str, file_hash: str) -> Path:
    """Return a file from Keras' folder of downloads, downloaded where it is not there; checked by its MD5 or SHA-256."""
    import keras

    return Path(keras.utils.get_file(origin=url, file_hash=file_hash, cache_subdir="datasets/keras_ood"))


def _fetch(folder_url: str, name: str) -> Path:
    return fetch(folder_url + name, _MD5[name])
