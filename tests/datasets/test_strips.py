"""Packed image sets: what is written is read, and nothing damaged passes."""

import gc
import io
import re
import warnings

import numpy as np
import pytest
from PIL import Image

from keras_ood.datasets.strips import read_strips

SHAPES = {"grey": (7, 5, 6), "colour": (7, 5, 6, 3), "one": (1, 4, 4), "odd": (11, 3, 9, 3)}


def strip_bytes(stack):
    """A lossless WebP of images stacked from top to bottom."""
    file = io.BytesIO()
    Image.fromarray(stack.reshape(-1, *stack.shape[2:])).save(file, "WEBP", lossless=True)
    return np.frombuffer(file.getvalue(), np.uint8)


def pack(images, labels, images_per_strip):
    """The arrays of a packed set, as the documentation of `read_strips` states them."""
    strips = [strip_bytes(images[start : start + images_per_strip]) for start in range(0, len(images), images_per_strip)]
    ends = np.cumsum([len(strip) for strip in strips])
    return {"strips": np.concatenate(strips), "ends": ends, "shape": np.array(images.shape), "labels": labels}


def example(name):
    generator = np.random.default_rng(0)
    shape = SHAPES[name]
    return generator.integers(0, 256, shape, dtype=np.uint8), generator.integers(0, 10, shape[0], dtype=np.uint8)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("images_per_strip", [1, 3, 100])
@pytest.mark.parametrize("name", SHAPES)
def test_reads_what_was_packed(name, images_per_strip, save, tmp_path):
    """Images and labels come back bit by bit, grey and colour, whatever the length of the strips."""
    images, labels = example(name)
    save(tmp_path / "set.npz", **pack(images, labels, images_per_strip))
    read_images, read_labels = read_strips(tmp_path / "set.npz")
    assert read_images.dtype == read_labels.dtype == np.uint8
    np.testing.assert_array_equal(read_images, images)
    np.testing.assert_array_equal(read_labels, labels)


def refuse(path):
    """Reading is a ValueError that says what is expected and names the file."""
    with pytest.raises(ValueError, match=rf"strips, ends, shape and labels\. {re.escape(f'Received: {path}')}"):
        read_strips(path)


# Each takes the arrays of a good set of 7 colour images in strips of 3 and returns those of a bad one.
BAD_CONTENT = {
    "no strips": lambda good: {key: good[key] for key in ("ends", "shape", "labels")},
    "no labels": lambda good: {key: good[key] for key in ("strips", "ends", "shape")},
    "other arrays": lambda good: {"images": np.zeros((2, 3, 3, 1), np.uint8)},
    "a strip missing": lambda good: good | {"ends": good["ends"][:-1]},
    "too many strips": lambda good: good | {"shape": np.array([6, 5, 6, 3])},
    "too few strips": lambda good: good | {"shape": np.array([8, 5, 6, 3])},
    "too few labels": lambda good: good | {"labels": good["labels"][:-1]},
    "another width": lambda good: good | {"shape": np.array([7, 5, 7, 3])},
    "a shape of one number": lambda good: good | {"shape": np.array(7)},
    "a negative shape": lambda good: good | {"shape": np.array([-7, 5, 6, 3])},
    "bytes cut": lambda good: good | {"strips": good["strips"][:-40]},
    "bytes that are no image": lambda good: good | {"strips": np.zeros_like(good["strips"])},
    "fractional ends": lambda good: good | {"ends": good["ends"] + 0.5},
    "one label": lambda good: good | {"labels": np.uint8(1)},
}


@pytest.mark.parametrize("name", BAD_CONTENT)
def test_wrong_content_is_a_value_error(name, tmp_path):
    """An array that is missing, or does not fit the others, is a ValueError that names the file."""
    path = tmp_path / "set.npz"
    np.savez(path, **BAD_CONTENT[name](pack(*example("colour"), 3)))
    refuse(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("kept", [0, 1, 3, 4, 100, 0.5, 0.9, -1, -22])
def test_truncated_file_is_a_value_error(kept, save, tmp_path):
    """A file cut short anywhere, to nothing or by one byte, is a ValueError that names it."""
    path = tmp_path / "set.npz"
    save(path, **pack(*example("colour"), 3))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept) if isinstance(kept, float) else kept])
    refuse(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_no_flipped_bit_changes_an_image(save, tmp_path):
    """With any one bit flipped the set is read as it was, or is a ValueError: never other images, never another error."""
    path = tmp_path / "set.npz"
    images, labels = example("colour")
    save(path, **pack(images, labels, 3))
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for position in generator.choice(len(content), 200, replace=False):
        damaged = bytearray(content)
        damaged[position] ^= 1 << generator.integers(8)
        path.write_bytes(damaged)
        try:
            read_images, read_labels = read_strips(path)
        except ValueError:
            refused += 1
        else:
            np.testing.assert_array_equal(read_images, images)
            np.testing.assert_array_equal(read_labels, labels)
    assert refused > 100


@pytest.mark.parametrize("content", [b"no zip at all", b"PK\x03\x04 not quite a zip", b"\x00" * 64], ids=str)
def test_file_of_another_kind_is_a_value_error(content, tmp_path):
    """A file that is no .npz is a ValueError that names it."""
    path = tmp_path / "set.npz"
    path.write_bytes(content)
    refuse(path)


def test_npy_named_npz_is_a_value_error(tmp_path):
    """A single array under the name of a .npz file is a ValueError that names it."""
    path = tmp_path / "set.npz"
    with path.open("wb") as file:
        np.save(file, example("grey")[0])
    refuse(path)


def test_refused_file_is_closed(tmp_path):
    """A damaged file is not left open: no ResourceWarning when the error is gone."""
    path = tmp_path / "set.npz"
    path.write_bytes(b"PK\x03\x04 not quite a zip")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match="Received"):
            read_strips(path)
        gc.collect()
    assert not caught
