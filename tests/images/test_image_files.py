"""Image files: order, every kind of pixel, and files that cannot be read."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_ood.images import ImageFiles, UnreadableImageError

pytestmark = pytest.mark.once

GENERATOR = np.random.default_rng(0)
GREY = GENERATOR.integers(0, 256, (5, 7), dtype=np.uint8)
COLOUR = GENERATOR.integers(0, 256, (5, 7, 3), dtype=np.uint8)
ALPHA = GENERATOR.integers(0, 256, (5, 7), dtype=np.uint8)
BITS = GREY > 127
PALETTE = Image.fromarray(COLOUR).quantize(16)
PALETTE_COLOURS = np.asarray(PALETTE.convert("RGB"))


def stacked(*channels):
    return Image.fromarray(np.dstack(channels))


def grey_alpha():
    return Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)])


# Name of the file -> (image, how it is saved, the array it must be read as).
LOSSLESS = {
    "grey.png": (Image.fromarray(GREY), {}, GREY[..., None]),
    "grey.bmp": (Image.fromarray(GREY), {}, GREY[..., None]),
    "grey.tif": (Image.fromarray(GREY), {}, GREY[..., None]),
    "grey.tiff": (Image.fromarray(GREY), {"compression": "tiff_lzw"}, GREY[..., None]),
    "grey.pgm": (Image.fromarray(GREY), {}, GREY[..., None]),
    "capitals.PNG": (Image.fromarray(GREY), {"format": "PNG"}, GREY[..., None]),
    "colour.png": (Image.fromarray(COLOUR), {}, COLOUR),
    "colour.bmp": (Image.fromarray(COLOUR), {}, COLOUR),
    "colour.tif": (Image.fromarray(COLOUR), {}, COLOUR),
    "colour.ppm": (Image.fromarray(COLOUR), {}, COLOUR),
    "colour.webp": (Image.fromarray(COLOUR), {"lossless": True}, COLOUR),
    "alpha.png": (stacked(COLOUR, ALPHA), {}, COLOUR),
    "alpha.webp": (stacked(COLOUR, ALPHA), {"lossless": True, "exact": True}, COLOUR),
    "grey_alpha.png": (grey_alpha(), {}, GREY[..., None]),
    "palette.png": (PALETTE, {}, PALETTE_COLOURS),
    "palette.gif": (PALETTE, {}, PALETTE_COLOURS),
    "palette_clear_colour.png": (PALETTE, {"transparency": 3}, PALETTE_COLOURS),
    "palette_alpha.png": (PALETTE, {"transparency": bytes(range(0, 256, 16))}, PALETTE_COLOURS),
    "bits.png": (Image.fromarray(BITS), {}, BITS[..., None] * np.uint8(255)),
    "bits.tif": (Image.fromarray(BITS), {}, BITS[..., None] * np.uint8(255)),
}
DEEP = {
    "sixteen.png": Image.fromarray(GREY.astype(np.uint16) * 257),
    "sixteen.tif": Image.fromarray(GREY.astype(np.uint16) * 257),
    "sixteen.pgm": Image.fromarray(GREY.astype(np.uint16) * 257),
    "thirty_two.tif": Image.fromarray(GREY.astype(np.int32) * 1000),
    "float.tif": Image.fromarray(GREY.astype(np.float32) / 255),
}
GOOD = Image.fromarray(GREY)


def png_bytes(folder):
    """The bytes of a PNG file of 40x40 random pixels."""
    path = folder / "whole.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    content = path.read_bytes()
    path.unlink()
    return content


# Name -> what is written in a file of that name, given the bytes of a good PNG.
UNREADABLE = {
    "empty.png": lambda good: b"",
    "text.png": lambda good: b"not an image\n" * 10,
    "truncated.png": lambda good: good[: len(good) // 2],
    "damaged.png": lambda good: good[:60] + bytes(40) + good[100:],
    "header_only.png": lambda good: good[:33],
    "html.jpg": lambda good: b"<html><body>404</body></html>",
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_pixels_are_those_of_the_file(name, tmp_path):
    """Grey images come as one channel, all others as RGB, uint8, alpha dropped, palettes and bits expanded, no warning."""
    image, options, expected = LOSSLESS[name]
    image.save(tmp_path / name, **options)
    (pixels,) = ImageFiles(tmp_path / name)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("CMYK", 3)])
def test_jpeg_is_close_to_what_was_saved(mode, channels, tmp_path):
    """JPEG loses a little; grey stays one channel, CMYK becomes RGB."""
    smooth = np.add.outer(np.arange(32) * 3, np.arange(48) * 2).astype(np.uint8)
    image = Image.fromarray(np.dstack([smooth, 255 - smooth, smooth // 2])).convert(mode)
    image.save(tmp_path / "image.jpeg", quality=95, subsampling=0)
    (pixels,) = ImageFiles(tmp_path / "image.jpeg")
    assert pixels.shape == (32, 48, channels)
    expected = np.asarray(image.convert("L" if channels == 1 else "RGB")).reshape(pixels.shape)
    assert np.abs(pixels.astype(int) - expected).mean() < 3


@pytest.mark.parametrize("name", DEEP)
def test_more_than_eight_bits_are_refused(name, tmp_path):
    """Pixels of 16 or 32 bits would be clipped: refused, the file and the reason named."""
    DEEP[name].save(tmp_path / name)
    with pytest.raises(UnreadableImageError, match=rf"{re.escape(f'Received: {tmp_path / name}')} \(8 bits a channel"):
        list(ImageFiles(tmp_path))


def test_first_frame_of_an_animation(tmp_path):
    """Of several frames the first is read."""
    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (10, 200)]
    frames[0].save(tmp_path / "frames.gif", save_all=True, append_images=frames[1:])
    (pixels,) = ImageFiles(tmp_path)
    assert np.all(pixels == 10)


def make_tree(root):
    """Files in several folders, each image filled with its number; returns the names in the order to expect."""
    names = ["a/b/2.png", "a/b/10.png", "a/z.bmp", "b.png", "c/1.JPG", "c/1.png", "c/d/e/f/deep.tif"]
    order = sorted(names, key=lambda name: Path(name).parts)
    for number, name in enumerate(order):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), number * 20, np.uint8)).save(path)
    return order


def test_folder_is_read_to_its_depths_in_sorted_order(tmp_path):
    """All image files of all folders below, sorted by folder and name; other files and folders passed over."""
    names = make_tree(tmp_path)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "labels.csv").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    files = ImageFiles(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in files.paths] == names
    assert len(files) == len(names)
    assert [round(image.mean()) for image in files] == [20 * number for number in range(len(names))]


def test_iteration_can_be_repeated(tmp_path):
    """A second pass gives the same images again."""
    names = make_tree(tmp_path)
    files = ImageFiles(str(tmp_path))
    first, second = list(files), list(files)
    assert len(first) == len(second) == len(names)
    for image, again in zip(first, second, strict=True):
        np.testing.assert_array_equal(image, again)


@pytest.mark.parametrize("kind", [str, Path])
def test_sequence_of_files_keeps_its_order(kind, tmp_path):
    """Files given one by one are read in the order given, twice when given twice."""
    names = make_tree(tmp_path)
    chosen = [kind(tmp_path / names[number]) for number in (3, 0, 3)]
    assert [round(image.mean()) for image in ImageFiles(chosen)] == [60, 0, 60]


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable_file_raises_and_is_named(name, tmp_path):
    """By default a file that cannot be decoded stops the reading; the message names it, what is accepted and a way on."""
    (tmp_path / name).write_bytes(UNREADABLE[name](png_bytes(tmp_path)))
    with pytest.raises(UnreadableImageError, match=re.escape(f"Received: {tmp_path / name} (")) as caught:
        list(ImageFiles(tmp_path))
    assert isinstance(caught.value, ValueError)
    assert "'.png'" in str(caught.value)
    assert 'unreadable="skip"' in str(caught.value)


def test_images_before_an_unreadable_one_are_read(tmp_path):
    """The files before the unreadable one are yielded first: reading is one by one."""
    make_tree(tmp_path)
    (tmp_path / "b.png").write_bytes(b"broken")
    images = iter(ImageFiles(tmp_path))
    for _ in range(3):
        assert next(images).shape == (8, 8, 1)
    with pytest.raises(UnreadableImageError, match=r"b\.png"):
        next(images)


def test_skipping_names_each_unreadable_file(tmp_path):
    """With "skip" every unreadable file is named in a warning and kept in `skipped`; `read_paths` are the others in order."""
    good = png_bytes(tmp_path)
    for name, content in UNREADABLE.items():
        (tmp_path / name).write_bytes(content(good))
    DEEP["sixteen.png"].save(tmp_path / "sixteen.png")
    for name in ("a.png", "m.png", "z.png"):
        GOOD.save(tmp_path / name)
    bad = sorted([*UNREADABLE, "sixteen.png"])
    files = ImageFiles(tmp_path, unreadable="skip")
    with pytest.warns(UserWarning, match="Skipped an unreadable image") as caught:
        images = list(files)
    assert len(images) == 3
    assert len(files) == 3 + len(bad)
    assert [path.name for path in files.skipped] == bad
    assert all(files.skipped.values())
    assert [path.name for path in files.read_paths] == ["a.png", "m.png", "z.png"]
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == len(bad)
    assert all(str(tmp_path / name) in message for name, message in zip(bad, messages, strict=True))


def test_skipped_is_that_of_the_latest_pass(tmp_path):
    """A file mended between two passes is read in the second and no longer in `skipped`."""
    (tmp_path / "a.png").write_bytes(b"broken")
    GOOD.save(tmp_path / "b.png")
    files = ImageFiles(tmp_path, unreadable="skip")
    with pytest.warns(UserWarning, match=r"a\.png"):
        assert len(list(files)) == 1
    assert list(files.skipped) == [tmp_path / "a.png"]
    GOOD.save(tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(files)) == 2
    assert files.skipped == {}
    assert files.read_paths == list(files.paths)


def test_folder_without_images_is_a_value_error(tmp_path):
    """An empty folder, or one of other files, is an error that names it and the endings looked for."""
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(ValueError, match=rf"'\.png'.*{re.escape(f'Received: {tmp_path}')}$"):
        ImageFiles(tmp_path)


@pytest.mark.parametrize("given", ["missing", "one of two", "nothing"])
def test_missing_files_are_named(given, tmp_path):
    """A path that does not exist, a list with such a path and an empty list are errors that name what is missing."""
    GOOD.save(tmp_path / "there.png")
    missing = tmp_path / "missing.png"
    source, named = {
        "missing": (missing, [str(missing)]),
        "one of two": ([tmp_path / "there.png", missing], [str(missing)]),
        "nothing": ([], "an empty list"),
    }[given]
    with pytest.raises(FileNotFoundError, match=re.escape(f"Received: {named}") + "$"):
        ImageFiles(source)


@pytest.mark.parametrize("unreadable", ["ignore", "", None, True], ids=repr)
def test_unknown_treatment_is_a_value_error(unreadable, tmp_path):
    """`unreadable` is "raise" or "skip"."""
    GOOD.save(tmp_path / "there.png")
    with pytest.raises(ValueError, match=rf"'raise', 'skip'.*{re.escape(f'Received: {unreadable!r}')}$"):
        ImageFiles(tmp_path, unreadable=unreadable)
