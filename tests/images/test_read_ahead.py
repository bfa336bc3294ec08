"""Photos: decoded in threads and resized on the host, as they would be one by one through `Preprocessing`."""

import threading
import warnings

import keras
import numpy as np
import pytest
from PIL import Image, ImageFile
from sklearn.datasets import load_sample_image

from keras_ood.images import Decoding, ImageFiles, ImageWarning, UnreadableImageError
from keras_ood.images import read_ahead as module
from keras_ood.images.preprocessing import Preprocessing
from keras_ood.images.resize_on_host import resize_on_host
from keras_ood.images.sources import gather

TOLERANCE = 3e-5  # in 0..1; TensorFlow takes the weights themselves in float32
SIZES = [(32, 32), (24, 40), (300, 700)]  # the last one larger than photos at one side


def photo(seed, height=420, width=611):
    """A smooth picture with noise, uint8, of its own for each seed."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / generator.uniform(5, 80) + y / generator.uniform(5, 80)) for _ in range(3)]
    noise = generator.normal(0, 12, (height, width, 3))
    return np.clip(128 + 90 * np.dstack(waves) + noise, 0, 255).astype(np.uint8)


def one_by_one(files, size, channels=3):
    """The images by full decoding and `Preprocessing`, each alone."""
    preprocess = Preprocessing((*size, channels))
    return np.concatenate([keras.ops.convert_to_numpy(preprocess(image[None])) for image in files])


def save(folder, name, image, **options):
    Image.fromarray(image).save(folder / name, **options)


KINDS = {
    "colour.jpg": ("RGB", {"quality": 90}),
    "progressive.jpg": ("RGB", {"quality": 90, "progressive": True}),
    "grey.jpg": ("L", {}),
    "cmyk.jpg": ("CMYK", {}),
    "colour.png": ("RGB", {"compress_level": 1}),
    "grey.png": ("L", {"compress_level": 1}),
    "palette.png": ("P", {"compress_level": 1}),
    "alpha.png": ("RGBA", {"compress_level": 1}),
    "colour.webp": ("RGB", {}),
    "colour.bmp": ("RGB", {}),
    "colour.tif": ("RGB", {}),
}


@pytest.fixture
def kinds(tmp_path):
    """A folder of photos of many formats, a tiny one and an upright one of each EXIF orientation among them."""
    for seed, (name, (mode, options)) in enumerate(KINDS.items()):
        Image.fromarray(photo(seed)).convert(mode).save(tmp_path / name, **options)
    Image.fromarray(photo(99, 9, 7)).save(tmp_path / "tiny.png")
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(photo(50)).save(tmp_path / f"turned_{orientation}.jpg", exif=exif)
    return tmp_path


@pytest.mark.parametrize("size", SIZES)
def test_every_kind_of_photo_is_as_one_by_one(size, kinds):
    """Order and pixels of a mixed folder are those of full decoding and `Preprocessing`, up to rounding in float32."""
    files = ImageFiles(kinds)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = gather(files, Preprocessing((*size, 3)))
    np.testing.assert_allclose(found, one_by_one(files, size), atol=TOLERANCE)
    grey = gather(files, Preprocessing((*size, 1)))
    np.testing.assert_allclose(grey, one_by_one(files, size, 1), atol=TOLERANCE)


@pytest.mark.parametrize("name", ["china", "flower", "small"])
@pytest.mark.parametrize("size", [*SIZES, (427, 640), (427, 96), (1, 1)])
def test_the_resize_is_that_of_the_preprocessing(name, size):
    image = photo(1, 20, 31) if name == "small" else load_sample_image(f"{name}.jpg")
    found = resize_on_host(image, size)
    assert found.dtype == (np.uint8 if size == image.shape[:2] else np.float32)
    expected = one_by_one([image], size)[0]
    np.testing.assert_allclose(one_by_one([found], size)[0], expected, atol=TOLERANCE)
    floats = (image / np.float32(255)).astype(np.float32)
    np.testing.assert_allclose(resize_on_host(floats, size), expected, atol=TOLERANCE)


@pytest.mark.once
def test_images_come_at_the_size_asked_for(tmp_path):
    """Large or small; one that is of that size stays as it was decoded. Iteration gives all at full size."""
    sizes = {"large.png": (420, 611), "small.png": (20, 30), "that.png": (8, 9)}
    for number, (name, size) in enumerate(sizes.items()):
        save(tmp_path, name, photo(number, *size))
    files = ImageFiles(tmp_path)
    *resized, same = files.resized((8, 9))
    assert [(image.shape, image.dtype) for image in resized] == [((8, 9, 3), np.float32)] * 2
    np.testing.assert_array_equal(same, photo(2, 8, 9))
    assert [image.shape[:2] for image in files] == list(sizes.values())


@pytest.mark.once
@pytest.mark.parametrize("first", [0, 1, 3])
@pytest.mark.parametrize("frames", ["first", "all"])
def test_a_broken_photo_in_the_middle_has_its_turn(first, frames, tmp_path):
    """It is named and skipped, or an error after the images before it; in a long folder, with more frames beside it."""
    for number in range(12):
        save(tmp_path, f"{number:02}.jpg", photo(number))
    content = (tmp_path / "05.jpg").read_bytes()
    (tmp_path / "05.jpg").write_bytes(content[: len(content) // 2])
    (tmp_path / "07.jpg").write_bytes(b"broken")
    pages = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (1, 2)]
    pages[0].save(tmp_path / "08.gif", save_all=True, append_images=pages[1:])

    def read(method, unreadable):
        files = ImageFiles(tmp_path, unreadable, Decoding(frames=frames))
        files.start_at(first)
        images = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                images.extend(image.shape[-1] for image in method(files))
            except UnreadableImageError as error:
                images.append(str(error))
        return images, [str(warning.message) for warning in caught], files.skipped, files.frames_left_out

    for unreadable in ("skip", "raise"):
        found = read(lambda files: files.resized((8, 8)), unreadable)
        assert found == read(iter, unreadable)
    files = ImageFiles(tmp_path, "skip", Decoding(frames=frames))
    with pytest.warns(ImageWarning):
        images = list(files.resized((8, 8)))
    expected = [one_by_one([np.asarray(Image.open(tmp_path / f"{number:02}.jpg"))], (8, 8))[0] for number in (4, 6)]
    np.testing.assert_allclose(images[4:6], expected, atol=TOLERANCE)


@pytest.mark.once
def test_too_many_pixels_are_refused(tmp_path):
    save(tmp_path, "a.jpg", photo(0))
    with pytest.raises(UnreadableImageError, match="An image file may have 1,000 pixels"):
        list(ImageFiles(tmp_path, decoding=Decoding(most_pixels=1_000)).resized((8, 8)))


@pytest.mark.once
def test_an_abandoned_iteration_leaves_nothing_open(tmp_path, monkeypatch):
    """Threads end and files are closed where somebody stops in the middle; as many are open as were promised."""
    for number in range(30):
        save(tmp_path, f"{number:02}.jpg", photo(number, 300, 300) if number % 3 else photo(number, 20, 20))
    opened = []
    monkeypatch.setattr(module, "opened_file", lambda path, real=module.opened_file: opened.append(path) or real(path))
    images = ImageFiles(tmp_path).resized((8, 8))
    next(images)
    assert len(opened) <= 2 * module.MOST_THREADS + 1
    images.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("keras_ood-decode")]


@pytest.mark.once
def test_a_warning_in_a_thread_is_no_error(tmp_path, monkeypatch):
    """Where warnings are errors, a photo whose decoder warns is read where warnings are kept still."""
    save(tmp_path, "a.jpg", photo(0))
    expected = one_by_one(ImageFiles(tmp_path), (8, 8))
    load, places = ImageFile.ImageFile.load, []

    def warn(image):
        places.append(threading.current_thread() is threading.main_thread())
        warnings.warn("odd metadata", UserWarning, stacklevel=2)
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (image,) = ImageFiles(tmp_path).resized((8, 8))
    assert places[0] is False
    assert places[-1] is True
    np.testing.assert_allclose(image[None], expected, atol=TOLERANCE)


@pytest.mark.once
def test_the_callers_warnings_are_heard(tmp_path):
    """While files are decoded ahead, what the consumer warns of is not swallowed."""
    for number in range(20):
        save(tmp_path, f"{number:02}.jpg", photo(number, 300, 400))
    images = ImageFiles(tmp_path).resized((8, 8))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in images:
            warnings.warn("mine", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["mine"] * 20
