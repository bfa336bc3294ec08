"""Every source of images as the same stream of checked batches."""

import io
import itertools
import re
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import scipy.sparse
from PIL import Image

from keras_ood.encoders import FrozenEncoder
from keras_ood.encoders.embed import embed
from keras_ood.images import ImageFiles, UnreadableImageError
from keras_ood.images.checks import check_images
from keras_ood.images.image_warning import ImageWarning
from keras_ood.images.no_images import NoImagesError
from keras_ood.images.preprocessing import Preprocessing
from keras_ood.images.sources import count_images, gather, iterate_batches, one_ahead, open_path, pad

BACKEND = keras.backend.backend()
COUNT, SHAPE = 11, (6, 5, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, *SHAPE), dtype=np.uint8)
FLOATS = (IMAGES / 255).astype(np.float32)


def unchanged(images):
    """In place of a detector's preprocessing."""
    return images


unchanged.image_shape, unchanged.aspect = SHAPE, "stretch"


def chunks(images, lengths=(3,)):
    """Cut images into chunks of the given lengths, the last one repeated."""
    lengths, start = list(lengths), 0
    while start < len(images):
        length = lengths.pop(0) if len(lengths) > 1 else lengths[0]
        yield images[start : start + length]
        start += length


class Indexed(keras.utils.PyDataset):
    """Batches of three, with labels as in training when asked for."""

    def __init__(self, images, labels=False):
        super().__init__()
        self.images, self.labels = images, labels

    def __len__(self):
        """Number of batches."""
        return -(-len(self.images) // 3)

    def __getitem__(self, index):
        """A batch by its number."""
        batch = self.images[3 * index : 3 * index + 3]
        return (batch, np.zeros(len(batch))) if self.labels else batch


def in_file(images, folder, name, save):
    save(folder / name, images)
    return folder / name


def in_folder(images, folder):
    """One PNG file an image, the files written in reverse so that order is not that of creation."""
    for number, image in reversed(list(enumerate(images))):
        Image.fromarray(image).save(folder / f"{number:04}.png")
    return folder


# Name -> source of `images`, which may write to the empty `folder`.
ARRAYS = {
    "NumPy": lambda images, folder: images,
    "tensor": lambda images, folder: keras.ops.convert_to_tensor(images),
    "memory map": lambda images, folder: np.load(in_file(images, folder, "a.npy", np.save), mmap_mode="r"),
    ".npy": lambda images, folder: in_file(images, folder, "images.npy", np.save),
    ".npy as text": lambda images, folder: str(in_file(images, folder, "images.npy", np.save)),
    ".NPY": lambda images, folder: in_file(images, folder, "a.npy", np.save).rename(folder / "A.NPY"),
    "dictionary": lambda images, folder: {"labels": np.zeros(len(images)), "images": images},
    "list of images": lambda images, folder: list(images),
    ".npz, one array": lambda images, folder: in_file(images, folder, "a.npz", np.savez),
    ".npz, compressed": lambda images, folder: in_file(images, folder, "a.npz", np.savez_compressed),
    ".npz, images and others": lambda images, folder: in_file(
        images, folder, "a.npz", lambda path, array: np.savez(path, labels=np.zeros(3), images=array)
    ),
}
STREAMS = {
    "PyDataset": lambda images, folder: Indexed(images),
    "PyDataset with labels": lambda images, folder: Indexed(images, labels=True),
    "generator": lambda images, folder: chunks(images),
    "generator of tensors": lambda images, folder: map(keras.ops.convert_to_tensor, chunks(images)),
    "generator with labels": lambda images, folder: ((chunk, np.zeros(len(chunk))) for chunk in chunks(images)),
    "generator of uneven chunks": lambda images, folder: chunks(images, (1, 5, 2, 1)),
    "list of batches": lambda images, folder: list(chunks(images)),
    "dictionaries": lambda images, folder: ({"image": chunk, "label": np.zeros(len(chunk))} for chunk in chunks(images)),
    "generator with empty batches": lambda images, folder: (part for chunk in chunks(images) for part in (chunk[:0], chunk)),
    "generator of images": lambda images, folder: iter(images),
}
if BACKEND == "tensorflow":
    import tensorflow as tf

    def as_dataset(*arrays):
        return tf.data.Dataset.from_tensor_slices(arrays if len(arrays) > 1 else arrays[0]).batch(3)

    STREAMS["tf.data"] = lambda images, folder: as_dataset(images)
    STREAMS["tf.data with labels"] = lambda images, folder: as_dataset(images, np.zeros(len(images)))
FILES = {
    "folder": lambda images, folder: in_folder(images, folder),
    "folder as text": lambda images, folder: str(in_folder(images, folder)),
    "ImageFiles": lambda images, folder: ImageFiles(in_folder(images, folder)),
    "list of paths": lambda images, folder: sorted(in_folder(images, folder).iterdir()),
    "list of PIL images": lambda images, folder: [Image.fromarray(image) for image in images],
    "ImageFiles of a list": lambda images, folder: ImageFiles(sorted(in_folder(images, folder).iterdir())),
}
SOURCES = ARRAYS | STREAMS | FILES


def check_stream(batches, images, batch_size):
    """The batches are `images` in their order, all full but the last."""
    batches = list(batches)
    full, rest = divmod(len(images), batch_size)
    assert [len(batch) for batch in batches] == [batch_size] * full + [rest] * (rest > 0)
    joined = np.concatenate(batches)
    assert type(joined) is np.ndarray
    assert joined.dtype == images.dtype
    np.testing.assert_array_equal(joined, images)


@pytest.mark.parametrize("batch_size", [1, 4, 11, 100])
@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_the_same_images_in_order(name, batch_size, tmp_path):
    """Whatever the source, the stream is all of its images, in order, in batches of the size asked for."""
    check_stream(iterate_batches(SOURCES[name](IMAGES, tmp_path), batch_size, unchanged), IMAGES, batch_size)


@pytest.mark.parametrize("name", ARRAYS | STREAMS)
def test_floats_pass_as_float32(name, tmp_path):
    """Float images come as float32, unchanged, from every source that can hold them."""
    check_stream(iterate_batches(SOURCES[name](FLOATS, tmp_path), 4, unchanged), FLOATS, 4)


@pytest.mark.parametrize("name", ["0000.png", "0000.bmp", "0000.tif"])
def test_single_file_is_one_image(name, tmp_path):
    """The path of an image file is a source of one image."""
    Image.fromarray(IMAGES[0]).save(tmp_path / name)
    for source in (tmp_path / name, str(tmp_path / name)):
        check_stream(iterate_batches(source, 4, unchanged), IMAGES[:1], 4)
        assert count_images(source) == 1


@pytest.mark.parametrize("lengths", [(1,), (7,), (2, 9, 1), (10, 1), (11,), (4, 4, 3), (1, 1, 8, 1)], ids=str)
@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 5, 8, 11, 12])
def test_chunks_of_any_length_are_cut_and_joined(lengths, batch_size):
    """The length of incoming chunks shows nowhere: only the last batch is short."""
    check_stream(iterate_batches(chunks(IMAGES, lengths), batch_size, unchanged), IMAGES, batch_size)


def test_images_of_many_kinds_in_one_list(tmp_path):
    """Paths, PIL images, arrays of unlike sizes and of both ranges in one list: each is what it would be alone."""
    Image.fromarray(IMAGES[0]).save(tmp_path / "0.png")
    kinds = [tmp_path / "0.png", Image.fromarray(IMAGES[1]), IMAGES[2, :3], FLOATS[3], IMAGES[4], IMAGES[5:7]]
    preprocess = Preprocessing((4, 4, 1))
    alone = [IMAGES[:1], IMAGES[1:2], IMAGES[2:3, :3], FLOATS[3:4], IMAGES[4:5], IMAGES[5:7]]
    expected = np.concatenate([keras.ops.convert_to_numpy(preprocess(images)) for images in alone])
    np.testing.assert_allclose(gather(kinds, preprocess, batch_size=4), expected, atol=1e-6)


def test_a_batch_ends_where_shape_or_dtype_changes():
    """Images of another size, channels or dtype begin a batch of their own; none is lost and the order stays."""
    other_size, grey = IMAGES[:3, :4], IMAGES[:2, ..., :1]
    parts = [IMAGES[:5], other_size, FLOATS[:1], IMAGES[5:7], IMAGES[7:], grey]
    batches = list(iterate_batches(iter(parts), 4, unchanged))
    assert [(batch.shape, batch.dtype.name) for batch in batches] == [
        ((4, 6, 5, 3), "uint8"),
        ((1, 6, 5, 3), "uint8"),
        ((3, 4, 5, 3), "uint8"),
        ((1, 6, 5, 3), "float32"),
        ((4, 6, 5, 3), "uint8"),
        ((2, 6, 5, 3), "uint8"),
        ((2, 6, 5, 1), "uint8"),
    ]
    flat = np.concatenate([batch.ravel() for batch in batches])
    np.testing.assert_array_equal(flat, np.concatenate([part.ravel() for part in parts]))


def test_files_of_many_sizes_share_batches(tmp_path):
    """Image files are preprocessed one by one, so different sizes, grey and colour fill common batches, in order."""
    sizes = [(8, 8), (3, 9), (20, 4), (8, 8), (5, 5)]
    values = [10, 60, 110, 160, 210]
    for number, (size, value) in enumerate(zip(sizes, values, strict=True)):
        shape = size if number % 2 else (*size, 3)
        Image.fromarray(np.full(shape, value, np.uint8)).save(tmp_path / f"{number}.png")
    batches = list(iterate_batches(tmp_path, 4, Preprocessing((8, 8, 1))))
    assert [batch.shape for batch in batches] == [(4, 8, 8, 1), (1, 8, 8, 1)]
    assert {batch.dtype.name for batch in batches} == {"float32"}
    means = np.concatenate(batches).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(means, np.array(values) / 255, rtol=1e-5)


@pytest.mark.parametrize("chunk_length", [1, 3])
def test_generator_is_read_no_further_than_needed(chunk_length):
    """Of an endless generator, asking for k batches reads no more chunks than fill them: a stream needs no memory."""
    read = 0

    def endless():
        nonlocal read
        while True:
            read += 1
            assert read < 100
            yield np.full((chunk_length, *SHAPE), read % 256, np.uint8)

    batches = iterate_batches(endless(), 4, unchanged)
    assert read == 0
    for asked in range(1, 6):
        assert next(batches).shape == (4, *SHAPE)
        assert read == -(-4 * asked // chunk_length)


def test_files_are_read_no_further_than_needed(tmp_path):
    """Of a folder, too, only the files of the batches asked for are read: a broken one stops the batch it belongs to."""
    in_folder(IMAGES, tmp_path)
    (tmp_path / "0009.png").write_bytes(b"broken")
    batches = iterate_batches(tmp_path, 4, unchanged)
    for start in (0, 4):
        np.testing.assert_array_equal(next(batches), IMAGES[start : start + 4])
    with pytest.raises(UnreadableImageError, match=r"0009\.png"):
        next(batches)


def test_array_files_are_read_slice_by_slice(tmp_path):
    """A .npy file larger than memory can be scored: nothing but the slice asked for is kept, nothing stays mapped."""
    np.save(tmp_path / "images.npy", IMAGES)
    source = open_path(tmp_path / "images.npy")
    part = source[2:5]
    assert (len(source), source.shape) == (COUNT, IMAGES.shape)
    assert type(part) is np.ndarray
    assert part.base is None
    np.testing.assert_array_equal(part, IMAGES[2:5])


def test_one_item_is_started_ahead():
    """The next item is started before the one before is given out, none earlier; the last is not forgotten."""
    started = []
    given = one_ahead(range(3), lambda item: started.append(item) or item)
    assert [(item, list(started)) for item in given] == [(0, [0, 1]), (1, [0, 1, 2]), (2, [0, 1, 2])]
    assert list(one_ahead([], str)) == []

    def broken():
        yield from (1, 2)
        raise OSError("no more")

    given = one_ahead(broken(), str)
    assert [next(given), next(given)] == ["1", "2"]
    with pytest.raises(OSError, match="no more"):
        next(given)


PADDED = [(1, 256, 8), (8, 256, 8), (9, 256, 16), (3, 2, 2), (200, 256, 256), (1, 1, 1)]


@pytest.mark.parametrize(("count", "batch_size", "length"), PADDED)
def test_few_shapes_are_compiled(count, batch_size, length):
    """A batch is padded with its last image to a power of two of at least 8, or to the batch size."""
    padded = pad(np.arange(min(count, batch_size)), batch_size)
    assert len(padded) == length
    assert np.all(padded[count:] == padded[min(count, batch_size) - 1])


def test_batches_before_a_bad_one_are_given():
    """What comes before a bad batch has been yielded when the error is raised."""
    batches = iterate_batches(iter([IMAGES[:4], IMAGES[:4].astype(np.int64)]), 4, unchanged)
    np.testing.assert_array_equal(next(batches), IMAGES[:4])
    with pytest.raises(ValueError, match="Received: dtype int64"):
        next(batches)


@pytest.mark.parametrize("name", ARRAYS | FILES)
def test_count_is_known_where_nothing_must_be_read(name, tmp_path):
    """Arrays, array files and folders tell the number of their images."""
    assert count_images(SOURCES[name](IMAGES, tmp_path)) == COUNT


@pytest.mark.parametrize("name", STREAMS)
def test_count_of_a_stream_is_unknown(name, tmp_path):
    """A stream would have to be read to the end: None, and counting has consumed nothing."""
    source = STREAMS[name](IMAGES, tmp_path)
    assert count_images(source) is None
    check_stream(iterate_batches(source, 4, unchanged), IMAGES, 4)


ACCEPTED_DTYPES = {"uint8": "uint8", "float16": "float32", "float32": "float32", "float64": "float32"}


@pytest.mark.parametrize(("dtype", "returned"), ACCEPTED_DTYPES.items())
@pytest.mark.parametrize("channels", [1, 3])
def test_good_images_pass_the_check(dtype, returned, channels):
    """uint8 stays, floats of 0..1 become float32, the ends of the range included; one and three channels pass."""
    images = np.zeros((2, 4, 5, channels), dtype)
    images[0] = 255 if dtype == "uint8" else 1
    checked = check_images(images)
    assert checked.dtype.name == returned
    np.testing.assert_array_equal(checked, images)


def test_bfloat16_tensors_pass_the_check():
    """What a mixed-precision pipeline yields is accepted and becomes float32."""
    checked = check_images(keras.ops.full((2, 4, 5, 1), 0.5, "bfloat16"))
    assert checked.dtype == np.float32
    assert np.all(checked == 0.5)


def spoiled(value, dtype=np.float32):
    """Good float images but for one number."""
    images = np.full((3, 4, 4, 1), 0.5, dtype)
    images[1, 2, 3, 0] = value
    return images


# Name -> (array, what the message says of it after "Received: ").
BAD_ARRAYS = {
    "a single image": (np.zeros((4, 4, 1), np.uint8), r"an array of rank 3, shape \(4, 4, 1\)"),
    "grey without channels": (np.zeros((3, 4, 4), np.uint8), "an array of rank 3"),
    "rank 5": (np.zeros((1, 3, 4, 4, 1), np.uint8), "an array of rank 5"),
    "a number": (np.float32(0.5), "an array of rank 0"),
    "two channels": (np.zeros((3, 4, 4, 2), np.uint8), "2 channels"),
    "four channels": (np.zeros((3, 4, 4, 4), np.uint8), "4 channels"),
    "channels first": (np.zeros((3, 1, 28, 28), np.uint8), "28 channels"),
    "no image": (np.zeros((0, 4, 4, 1), np.uint8), "an empty batch"),
    "no pixel": (np.zeros((3, 0, 4, 1), np.uint8), r".*shape \(3, 0, 4, 1\)"),
    "no channel": (np.zeros((3, 4, 4, 0), np.uint8), "0 channels"),
    "int64": (np.zeros((3, 4, 4, 1), np.int64), "dtype int64"),
    "int8": (np.zeros((3, 4, 4, 1), np.int8), "dtype int8"),
    "uint16": (np.zeros((3, 4, 4, 1), np.uint16), "dtype uint16"),
    "bool": (np.zeros((3, 4, 4, 1), bool), "dtype bool"),
    "complex": (np.zeros((3, 4, 4, 1), np.complex64), "dtype complex64"),
    "object": (np.zeros((3, 4, 4, 1), object), "dtype object"),
    "text": (np.full((3, 4, 4, 1), "a"), "dtype <U1"),
    "floats of 0..255": (FLOATS * 255, "floats from 0 to 255"),
    "floats of -1..1": (FLOATS * 2 - 1, "floats from -1 to 1"),
    "just above 1": (spoiled(1.001), "floats from 0.5 to 1.001"),
    "just below 0": (spoiled(-0.001), "floats from -0.001 to 0.5"),
    "beyond float32": (spoiled(1e300, np.float64), r"\S"),
    "NaN": (spoiled(np.nan), "1 values that are NaN or infinite"),
    "infinity": (spoiled(np.inf), "1 values that are NaN or infinite"),
    "minus infinity": (spoiled(-np.inf), "1 values that are NaN or infinite"),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_bad_images_are_value_errors(name):
    """Wrong rank, channels, dtype or range, NaN, infinity or nothing at all: the message says what is accepted and came."""
    array, received = BAD_ARRAYS[name]
    with pytest.raises(ValueError, match=rf"^Expected images as \(batch, height, width, channels\).* Received: {received}"):
        check_images(array)


WRAPPINGS = {
    "array": lambda array: array,
    "generator": lambda array: (chunk for chunk in [array]),
    "labelled": lambda array: (chunk for chunk in [(array, np.zeros(3))]),
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("name", [name for name in BAD_ARRAYS if name not in ("a number", "a single image", "no image")])
def test_bad_images_are_refused_from_every_source(name, wrapping):
    """An array, a generator and a generator with labels refuse the same images with the same words."""
    array, received = BAD_ARRAYS[name]
    with pytest.raises(ValueError, match=f"Received: {received}"):
        list(iterate_batches(WRAPPINGS[wrapping](array), 4, unchanged))


BAD_SOURCES = {
    "None": lambda: None,
    "a number": lambda: 3,
    "a scalar array": lambda: np.zeros(()),
    "an object": object,
    "an empty list": list,
    "an empty generator": lambda: iter([]),
    "a ragged batch": lambda: iter([[[1], [1, 2]]]),
    "an empty tuple": lambda: iter([()]),
    "a dictionary without images": lambda: {"x": IMAGES},
    "batches without images": lambda: [IMAGES[:0], IMAGES[:0]],
    "masked": lambda: np.ma.masked_equal(IMAGES, 3),
    "a dataset that repeats": lambda: itertools.cycle([IMAGES]),
    "sparse": lambda: [scipy.sparse.eye_array(3)],
    "bytes": lambda: b"images",
    "an empty PyDataset": lambda: Indexed(IMAGES[:0]),
}


@pytest.mark.parametrize("name", BAD_SOURCES)
def test_what_is_no_source_is_a_value_error(name):
    """Anything else, and a stream that yields nothing, is refused with what is accepted and what came."""
    with pytest.raises(ValueError, match=r"(Expected images|A dictionary names its images) .*Received: \S"):
        list(iterate_batches(BAD_SOURCES[name](), 4, unchanged))


def test_endless_pydataset_is_a_value_error():
    """A PyDataset that does not say how many batches it has cannot be scored to its end."""

    class Endless(Indexed):
        """No number of batches."""

        num_batches = None

    with pytest.raises(ValueError, match="Received: an endless Endless"):
        list(iterate_batches(Endless(IMAGES), 4, unchanged))


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "4", None], ids=repr)
def test_bad_batch_size_is_a_value_error(batch_size):
    """A batch size is a positive integer."""
    with pytest.raises(ValueError, match=rf"`batch_size` must be a positive integer\. Received: {batch_size!r}$"):
        list(iterate_batches(IMAGES, batch_size, unchanged))


@pytest.mark.parametrize("content", ["empty", "text", "truncated", "header only", "magic only"])
@pytest.mark.parametrize(("suffix", "save"), [(".npy", np.save), (".npz", np.savez), (".npz", np.savez_compressed)])
def test_damaged_array_file_is_a_value_error(suffix, save, content, tmp_path):
    """A .npy or .npz file that is empty, cut short or of another kind is a ValueError that names it, and is closed."""
    path = tmp_path / f"images{suffix}"
    save(path, np.random.default_rng(0).integers(0, 256, (20, 16, 16, 1), dtype=np.uint8))
    good = path.read_bytes()
    lengths = {"empty": 0, "truncated": len(good) // 2, "header only": 128, "magic only": 6}
    path.write_bytes(b"not an array\n" * 20 if content == "text" else good[: lengths[content]])
    for use in (open_path, count_images, lambda path: list(iterate_batches(path, 4, unchanged))):
        with pytest.raises(ValueError, match=re.escape(f"Received: {path}")):
            use(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_bytes_of_an_npz_are_a_value_error(save, tmp_path):
    """Bytes changed inside a .npz file, which its checksum shows, are a ValueError that names it."""
    path = tmp_path / "images.npz"
    save(path, images=np.random.default_rng(0).integers(0, 256, (20, 16, 16, 1), dtype=np.uint8))
    good = path.read_bytes()
    for position in range(300, 3000, 100):
        path.write_bytes(good[:position] + bytes([good[position] ^ 255]) + good[position + 1 :])
        with pytest.raises(ValueError, match=re.escape(f"Received: {path}")):
            open_path(path)


def write_npy(path, array):
    """Write the .npy format under any name."""
    with path.open("wb") as file:
        np.save(file, array)


def write_npz_of_nothing(path, shape):
    """Write the .npz format with a head that declares an array, and no array."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("images.npy", head.getvalue())


ODD_FILES = {
    "several.npz": lambda path: np.savez(path, a=IMAGES, b=IMAGES),
    "none.npz": lambda path: np.savez(path),
    "pickle.npy": lambda path: write_npy(path, np.array([{"a": 1}], object)),
    "pickle.npz": lambda path: np.savez(path, images=np.array([{"a": 1}], object)),
    "wrong_rank.npy": lambda path: np.save(path, IMAGES[0]),
    "wrong_dtype.npz": lambda path: np.savez(path, images=IMAGES.astype(np.int32)),
    "no_image.npy": lambda path: np.save(path, IMAGES[:0]),
    "npy_in_npz.npz": lambda path: write_npy(path, IMAGES),
    "declares_petabytes.npz": lambda path: write_npz_of_nothing(path, (10**13, 8, 8, 1)),
}


@pytest.mark.parametrize("name", ODD_FILES)
def test_array_file_of_something_else_is_a_value_error(name, tmp_path):
    """Several arrays, none, objects, or an array that is not of images: refused, never guessed and never unpickled."""
    ODD_FILES[name](tmp_path / name)
    with pytest.raises(ValueError, match=r"Received: \S"):
        list(iterate_batches(tmp_path / name, 4, unchanged))


@pytest.mark.parametrize("kind", ["raise", "skip"])
def test_unreadable_image_in_a_folder_is_never_silently_lost(kind, tmp_path):
    """A file that cannot be decoded stops the stream by name, or by the flag is named in a warning and left out."""
    in_folder(IMAGES, tmp_path)
    broken = tmp_path / "0004.png"
    broken.write_bytes(broken.read_bytes()[:40])
    files = ImageFiles(tmp_path, unreadable=kind)
    if kind == "raise":
        with pytest.raises(UnreadableImageError, match=re.escape(f"Received: {broken}")):
            list(iterate_batches(files, 4, unchanged))
        return
    with pytest.warns(UserWarning, match=re.escape(str(broken))):
        batches = list(iterate_batches(files, 4, unchanged))
    check_stream(batches, np.delete(IMAGES, 4, axis=0), 4)
    assert list(files.skipped) == [broken]
    assert [path.name for path in files.read_paths] == [f"{number:04}.png" for number in range(COUNT) if number != 4]


@pytest.mark.parametrize("name", ["missing", "missing.png", "missing.npy", "missing.npz"])
def test_missing_path_is_named(name, tmp_path):
    """A path that does not exist is a FileNotFoundError with its name."""
    for use in (open_path, count_images, lambda path: list(iterate_batches(path, 4, unchanged))):
        with pytest.raises(FileNotFoundError, match=re.escape(str(Path(tmp_path) / name))):
            use(tmp_path / name)


@pytest.mark.parametrize("name", ["notes.txt", "table.csv"])
def test_file_that_is_no_image_is_a_value_error(name, tmp_path):
    """A file of another kind, given by itself, cannot be decoded and is named."""
    (tmp_path / name).write_text("no image")
    with pytest.raises(ValueError, match=re.escape(f"Received: {tmp_path / name}")):
        list(iterate_batches(tmp_path / name, 4, unchanged))


def test_folder_without_images_is_a_value_error(tmp_path):
    """A folder with no image file in it is refused by name."""
    with pytest.raises(ValueError, match=re.escape(f"Received: {tmp_path}") + "$"):
        list(iterate_batches(tmp_path, 4, unchanged))


@pytest.mark.parametrize("taking", ["score", "statistics", "p_values", "detect", "calibrate", "score_map", "gather", "embed"])
def test_files_of_which_none_can_be_read_are_no_images(taking, pretrained, tmp_path, monkeypatch):
    """Skipped, all of them: said in words, not by what joins their parts; no embeddings of them are kept."""
    (tmp_path / "broken.png").write_bytes(b"no picture")
    monkeypatch.setenv("KERAS_OOD_EMBEDDINGS", str(tmp_path / "kept"))
    takes = {
        "gather": lambda files: gather(files, pretrained.preprocessing),
        "embed": lambda files: embed(files, FrozenEncoder("efficientnet-lite0-untrained", (32, 32, 3)), progress=False),
    }
    take = takes.get(taking) or getattr(pretrained, taking)
    with pytest.warns(ImageWarning), pytest.raises(NoImagesError, match="Received: image files of which none"):
        take(ImageFiles(tmp_path, unreadable="skip"))
    assert not [*tmp_path.glob("kept/*.npy"), *tmp_path.glob("kept/*.unfinished")]
