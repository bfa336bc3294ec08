"""Data sets by name: the embedded one, the local folder, the originals and the real sets where they are at hand."""

import gzip
import io
import re
import struct
import zipfile
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from sklearn.datasets import load_digits

from keras_ood.datasets import DATASETS, TEXTURES, get, load, local_file, registry, textures

pytestmark = pytest.mark.once

# (name, split) -> (number of images, mean of each channel, sd of each channel), where published; CIFAR-10 and GTSRB in part.
PUBLISHED = {
    ("mnist", "train"): (60_000, [0.1307], [0.3081]),
    ("mnist", "test"): (10_000, [0.1325], [0.3105]),
    ("fashion_mnist", "train"): (60_000, [0.2860], [0.3530]),
    ("fashion_mnist", "test"): (10_000, [0.2868], [0.3524]),
    ("cifar10", "train"): (49_901, [0.4914, 0.4821, 0.4463], [0.2470, 0.2435, 0.2616]),
    ("cifar10", "test"): (9_978, None, None),
    ("gtsrb", "train"): (19_605, [0.3396, 0.3115, 0.3206], [0.2751, 0.2640, 0.2704]),
    ("gtsrb", "test"): (12_630, None, None),
    ("cifar100", "test"): (10_000, [0.5082, 0.4879, 0.4422], [0.2656, 0.2551, 0.2758]),
}
CLASSES = {"mnist": 10, "fashion_mnist": 10, "cifar10": 10, "cifar100": 100, "gtsrb": 43}

# MD5 sums: README of Fashion-MNIST; torchvision's svhn.py and gtsrb.py.
CHECKSUMS = {
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


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path, images, labels, split="test"):
    """Write a data set of one split, under Keras' names."""
    np.savez(path, **{f"x_{split}": images, f"y_{split}": labels})
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of local data sets that `load` looks in first."""
    monkeypatch.setenv("KERAS_OOD_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def downloads(tmp_path, monkeypatch):
    """No local files; `keras.utils.get_file` serves what the test puts in `contents` and notes what it was asked."""
    served = SimpleNamespace(contents={}, checksums={}, origins={})

    def get_file(fname=None, origin=None, file_hash=None, hash_algorithm="auto", **settings):
        name = fname or origin.rsplit("/", 1)[-1]
        served.checksums[name], served.origins[name] = file_hash, origin
        assert hash_algorithm in ("auto", "md5")
        path = tmp_path / name
        path.write_bytes(served.contents[name])
        return str(path)

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    monkeypatch.setattr(registry, "local_file", lambda name, split: None)
    return served


def check_downloads(downloads, names):
    """Exactly these files were asked for, each with its published checksum, from an address that ends with its name."""
    assert downloads.checksums == {name: CHECKSUMS[name] for name in names}
    for name, origin in downloads.origins.items():
        assert re.fullmatch(rf"https?://[^/]+/.*{re.escape(name)}", origin)


def check_arrays(name, images, labels):
    """What `load` promises: uint8 images of the registered shape and as many uint8 labels."""
    assert images.shape[1:] == DATASETS[name].image_shape
    assert images.dtype == labels.dtype == np.uint8
    assert labels.shape == (len(images),)


def test_the_registered_sets():
    """Seven sets of others and the textures that are drawn here, each with what a model card needs."""
    assert set(DATASETS) == {"digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "gtsrb", "svhn", *TEXTURES}
    assert {name for name, dataset in DATASETS.items() if dataset.at_hand} == {"digits", *TEXTURES}
    for name, dataset in DATASETS.items():
        assert get(name) is dataset
        assert dataset.title
        assert dataset.licence
        assert dataset.source
        assert len(dataset.image_shape) == 3


def test_digits_are_embedded_and_split_in_five(folder):
    """Every fifth of scikit-learn's digits is a test image, the others train; 16 grey levels become 0..255."""
    train, test = load("digits", "train"), load("digits", "test")
    check_arrays("digits", *train)
    check_arrays("digits", *test)
    assert len(train[0]) == 1437
    assert len(test[0]) == 360
    original = load_digits()
    held_out = np.arange(1797) % 5 == 0
    for (images, labels), chosen in ((train, ~held_out), (test, held_out)):
        assert np.abs(images[..., 0] / 255 - original.images[chosen] / 16).max() <= 0.5 / 255 + 1e-12
        np.testing.assert_array_equal(labels, original.target[chosen])
        assert images.max() == 255


def test_textures_are_drawn_once():
    """1,000 images of one seed train, 300 of another test; nobody can change what others get."""
    images, labels = load("weave", "test")
    check_arrays("weave", images, labels)
    np.testing.assert_array_equal(images[:2], textures("weave", 2, seed=1))
    assert len(images) == 300
    assert not images.flags.writeable


@pytest.mark.parametrize("name", ["mnist", "cifar10", "svhn"])
def test_local_folder_comes_first(name, folder):
    """A file in the folder of KERAS_OOD_DATA is what `load` returns, whatever else there is; other splits are not its own."""
    shape = DATASETS[name].image_shape
    images = random_images(6, *(shape[:2] if shape[2] == 1 else shape))
    labels = np.arange(6, dtype=np.int64)
    assert local_file(name, "test") is None
    path = save(folder / f"{name}.npz", images, labels[:, None])
    assert local_file(name, "test") == path
    assert local_file(name, "train") is None
    loaded, loaded_labels = load(name, "test")
    check_arrays(name, loaded, loaded_labels)
    np.testing.assert_array_equal(loaded, images.reshape(6, *shape))
    np.testing.assert_array_equal(loaded_labels, labels)


def test_without_a_folder_there_is_no_local_file(folder, monkeypatch):
    """Nothing is looked for where KERAS_OOD_DATA names no folder."""
    save(folder / "mnist.npz", random_images(2, 28, 28), np.zeros(2, np.uint8))
    monkeypatch.delenv("KERAS_OOD_DATA")
    assert local_file("mnist", "test") is None


DAMAGES = {
    "truncated": lambda content: content[: len(content) // 2],
    "cut by one byte": lambda content: content[:-1],
    "empty": lambda content: b"",
    "a byte changed": lambda content: content[:200] + bytes([content[200] ^ 255]) + content[201:],
    "another kind": lambda content: b"<html>404</html>",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_local_file_is_a_value_error(damage, folder):
    """A damaged or truncated file is an error that names it, not other images and not a silent download."""
    path = save(folder / "mnist.npz", random_images(6, 28, 28), np.zeros(6, np.uint8))
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(ValueError, match=re.escape(f"Received: {path}")):
        load("mnist", "test")


WRONG = {
    "floats": (random_images(6, 28, 28) / 255, np.zeros(6, np.uint8)),
    "one image": (random_images(28, 28), np.zeros(28, np.uint8)),
    "too few labels": (random_images(6, 28, 28), np.zeros(5, np.uint8)),
    "labels of text": (random_images(6, 28, 28), np.array(list("012345"))),
    "Python objects": (random_images(6, 28, 28), np.array([None] * 6)),
    "another shape": (random_images(6, 56, 14), np.zeros(6, np.uint8)),  # as many numbers
    "another height": (random_images(6, 27, 28), np.zeros(6, np.uint8)),
    "colour": (random_images(6, 28, 28, 3), np.zeros(6, np.uint8)),
    "nothing": (random_images(0, 28, 28), np.zeros(0, np.uint8)),
    "labels beyond a byte": (random_images(6, 28, 28), np.full(6, 256)),
    "labels below 0": (random_images(6, 28, 28), np.full(6, -1)),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_arrays_that_are_no_labelled_images_are_a_value_error(wrong, folder):
    """uint8 images of the set's shape, a byte each: all else is an error that names file and keys; nothing is unpickled."""
    path = save(folder / "mnist.npz", *WRONG[wrong])
    with pytest.raises(
        ValueError, match=rf"x_test of \(28, 28, 1\) or \(28, 28\) each.*y_test of 0..255\. Received: {re.escape(str(path))}"
    ):
        load("mnist", "test")


def test_images_without_labels_are_a_value_error(folder):
    """A file with `x_test` alone."""
    np.savez(folder / "mnist.npz", x_test=random_images(6, 28, 28))
    with pytest.raises(ValueError, match=r"labels y_test of 0..255\. Received: .*mnist\.npz"):
        load("mnist", "test")


@pytest.mark.parametrize(("name", "hint"), [("fashion-mnist", "fashion_mnist"), ("cifar", "cifar10"), ("Mnist", "mnist")])
def test_unknown_name_suggests_the_near_ones(name, hint):
    """A nearly right name fails with the list, a suggestion and what was given."""
    for function in (get, lambda name: load(name, "test")):
        with pytest.raises(ValueError, match=rf"'cifar10'.*Did you mean .*'{hint}'.*Received: '{name}'$"):
            function(name)


@pytest.mark.parametrize("name", ["imagenet", "", None, 3], ids=repr)
def test_unknown_name_is_a_value_error(name):
    """A name like no other fails with the list and what was given."""
    with pytest.raises(ValueError, match=rf"'cifar10'.*{re.escape(f'Received: {name!r}')}$"):
        load(name, "test")


@pytest.mark.parametrize("split", ["validation", "Test", "", None, 0], ids=repr)
@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_unknown_split_is_a_value_error(name, split):
    """A split is "train" or "test"."""
    with pytest.raises(ValueError, match=rf"'train', 'test'.*{re.escape(f'Received: {split!r}')}$"):
        load(name, split)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100"])
def test_keras_own_sets_keep_their_splits(name, split, downloads, monkeypatch):
    """MNIST and CIFAR come from Keras: the split asked for, labels as a vector."""
    shape = DATASETS[name].image_shape
    shape = shape[:2] if shape[2] == 1 else shape
    label_shape = () if name == "mnist" else (1,)
    parts = {
        part: (random_images(count, *shape, seed=count), random_images(count, *label_shape, seed=count))
        for part, count in (("train", 5), ("test", 3))
    }
    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", lambda: (parts["train"], parts["test"]))
    images, labels = load(name, split)
    check_arrays(name, images, labels)
    np.testing.assert_array_equal(images.reshape(parts[split][0].shape), parts[split][0])
    np.testing.assert_array_equal(labels, parts[split][1].ravel())


@pytest.mark.parametrize(("split", "prefix"), [("train", "train"), ("test", "t10k")])
def test_fashion_mnist_reads_the_idx_format(split, prefix, downloads):
    """Images after a header of 16 bytes, labels after one of 8, both gzipped, both checked."""
    images, labels = random_images(5, 28, 28), np.array([9, 0, 3, 3, 1], np.uint8)
    names = [f"{prefix}-images-idx3-ubyte.gz", f"{prefix}-labels-idx1-ubyte.gz"]
    downloads.contents = {
        names[0]: gzip.compress(struct.pack(">IIII", 0x803, 5, 28, 28) + images.tobytes()),
        names[1]: gzip.compress(struct.pack(">II", 0x801, 5) + labels.tobytes()),
    }
    loaded, loaded_labels = load("fashion_mnist", split)
    check_arrays("fashion_mnist", loaded, loaded_labels)
    np.testing.assert_array_equal(loaded[..., 0], images)
    np.testing.assert_array_equal(loaded_labels, labels)
    check_downloads(downloads, names)


@pytest.mark.parametrize("split", ["train", "test"])
def test_svhn_reads_the_matlab_format(split, downloads):
    """The image number is the last axis of `X`; label 10 of `y` is the digit 0."""
    images = random_images(4, 32, 32, 3)
    file = io.BytesIO()
    savemat(file, {"X": np.moveaxis(images, 0, -1), "y": np.array([[10], [1], [9], [10]], np.uint8)})
    name = f"{split}_32x32.mat"
    downloads.contents = {name: file.getvalue()}
    loaded, labels = load("svhn", split)
    check_arrays("svhn", loaded, labels)
    np.testing.assert_array_equal(loaded, images)
    np.testing.assert_array_equal(labels, [0, 1, 9, 0])
    check_downloads(downloads, [name])


def zipped(files):
    """The bytes of a zip of `{name: bytes}`."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def ppm(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PPM")
    return file.getvalue()


SIGN = random_images(32, 32, 3)
PLAIN = [np.full((height, width, 3), value, np.uint8) for height, width, value in ((40, 55, 30), (15, 16, 90), (99, 31, 200))]


def check_signs(images):
    """In order: a sign of the right size untouched, then plain ones of three sizes resized to their own colour."""
    np.testing.assert_array_equal(images[0], SIGN)
    assert [np.unique(image).tolist() for image in images[1:]] == [[30], [90], [200]]


def test_gtsrb_training_labels_are_the_folders(downloads):
    """Training signs in order of folder and name, resized to 32x32, labelled by the number of their folder."""
    downloads.contents["GTSRB-Training_fixed.zip"] = zipped(
        {
            "GTSRB/Training/00042/00001_00000.ppm": ppm(PLAIN[2]),
            "GTSRB/Training/00042/GT-00042.csv": b"Filename;ClassId\n",
            "GTSRB/Training/00007/00003_00029.ppm": ppm(PLAIN[1]),
            "GTSRB/Training/00000/00000_00000.ppm": ppm(SIGN),
            "GTSRB/Training/00007/00000_00001.ppm": ppm(PLAIN[0]),
            "GTSRB/Readme-Images.txt": b"text",
        }
    )
    images, labels = load("gtsrb", "train")
    check_arrays("gtsrb", images, labels)
    check_signs(images)
    np.testing.assert_array_equal(labels, [0, 7, 7, 42])
    check_downloads(downloads, ["GTSRB-Training_fixed.zip"])


def test_gtsrb_test_labels_are_those_of_the_table(downloads):
    """Test signs in order of name, labelled by the row of that name in the separate table, whatever the rows' order."""
    header = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\r\n"
    classes = {"00002.ppm": 12, "00000.ppm": 42, "00003.ppm": 0, "00001.ppm": 5}
    rows = "".join(f"{name};53;54;6;5;48;49;{label}\r\n" for name, label in classes.items())
    downloads.contents = {
        "GTSRB_Final_Test_GT.zip": zipped({"GT-final_test.csv": header + rows}),
        "GTSRB_Final_Test_Images.zip": zipped(
            {
                "GTSRB/Final_Test/Images/00001.ppm": ppm(PLAIN[0]),
                "GTSRB/Final_Test/Images/00000.ppm": ppm(SIGN),
                "GTSRB/Final_Test/Images/GT-final_test.test.csv": b"text",
                "GTSRB/Final_Test/Images/00003.ppm": ppm(PLAIN[2]),
                "GTSRB/Final_Test/Images/00002.ppm": ppm(PLAIN[1]),
            }
        ),
    }
    images, labels = load("gtsrb", "test")
    check_arrays("gtsrb", images, labels)
    check_signs(images)
    np.testing.assert_array_equal(labels, [42, 5, 12, 0])
    check_downloads(downloads, ["GTSRB_Final_Test_GT.zip", "GTSRB_Final_Test_Images.zip"])


def channel_statistics(images):
    """Exact mean and sd of each channel on the scale 0..1, from counts of the 256 values."""
    values = np.arange(256) / 255
    means, deviations = [], []
    for channel in range(images.shape[-1]):
        parts = (images[start : start + 5000, ..., channel].ravel() for start in range(0, len(images), 5000))
        shares = sum(np.bincount(part, minlength=256) for part in parts) / images[..., channel].size
        means.append(shares @ values)
        deviations.append(np.sqrt(shares @ (values - means[-1]) ** 2))
    return means, deviations


@pytest.mark.parametrize(("name", "split"), PUBLISHED, ids=["-".join(key) for key in PUBLISHED])
def test_real_set_is_as_published(name, split, real):
    """The sets in KERAS_OOD_DATA have the published number, shape, mean and sd; as labels all classes, or none known."""
    count, means, deviations = PUBLISHED[name, split]
    images, labels = real(name, split)
    check_arrays(name, images, labels)
    assert len(images) == count
    if means:
        measured = channel_statistics(images)
        np.testing.assert_allclose(measured, [means, deviations], rtol=0, atol=0.000051)
    classes = {0} if (name, split) == ("gtsrb", "test") else set(range(CLASSES[name]))
    assert set(np.unique(labels).tolist()) == classes
