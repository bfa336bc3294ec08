"""Image files: order, every kind of pixel, and files that cannot be read."""

import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_ood.images import Decoding, ImageFiles, ImageWarning, UnreadableImageError, formats

pytestmark = pytest.mark.once

GENERATOR = np.random.default_rng(0)
GREY = GENERATOR.integers(0, 256, (5, 7), dtype=np.uint8)
COLOUR = GENERATOR.integers(0, 256, (5, 7, 3), dtype=np.uint8)
BITS = GREY > 127
PALETTE = Image.fromarray(COLOUR).quantize(16)
PALETTE_COLOURS = np.asarray(PALETTE.convert("RGB"))


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
    "palette.png": (PALETTE, {}, PALETTE_COLOURS),
    "palette.gif": (PALETTE, {}, PALETTE_COLOURS),
    "bits.png": (Image.fromarray(BITS), {}, BITS[..., None] * np.uint8(255)),
    "bits.tif": (Image.fromarray(BITS), {}, BITS[..., None] * np.uint8(255)),
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
    """Grey images come as one channel, all others as RGB, uint8, palettes and bits expanded, no warning."""
    image, options, expected = LOSSLESS[name]
    image.save(tmp_path / name, **options)
    (pixels,) = ImageFiles(tmp_path / name)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, expected)


def test_the_content_says_what_a_file_is(tmp_path):
    """A wrong suffix is no obstacle: the file is what it holds."""
    GOOD.save(tmp_path / "really.jpg", "PNG")
    GOOD.save(tmp_path / "really.png", "TIFF")
    for pixels in ImageFiles(tmp_path):
        np.testing.assert_array_equal(pixels, GREY[..., None])


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


def test_the_decoding_is_the_callers(tmp_path):
    """`decoding` says what becomes of the pixels of every file."""
    Image.merge("LA", [GOOD, Image.new("L", GOOD.size)]).save(tmp_path / "clear.png")
    Image.fromarray(np.full((4, 4), 4095, np.uint16)).save(tmp_path / "deep.png")
    clear, deep = ImageFiles(tmp_path, decoding=Decoding(background=(9, 9, 9), value_range=(0, 4095)))
    assert np.all(clear == 9)
    assert (deep.dtype, deep.min()) == (np.float32, 1)


def animation(path, values):
    """A GIF file of frames that are grey, each of one value."""
    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in values]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def test_the_first_frame_and_one_warning(tmp_path):
    """Of several frames the first is read; one warning counts those left out of all files."""
    animation(tmp_path / "a.gif", [10, 200])
    animation(tmp_path / "b.gif", [20, 30, 40])
    GOOD.save(tmp_path / "c.png")
    files = ImageFiles(tmp_path)
    with pytest.warns(ImageWarning, match=r"^3 further frames .*frames=\"all\"") as caught:
        images = list(files)
    assert len(caught) == 1
    assert [int(image[0, 0, 0]) for image in images[:2]] == [10, 20]
    assert (len(files), len(images), files.frames_left_out) == (3, 3, 3)


@pytest.mark.parametrize("first", range(7))
def test_all_frames_have_names(first, tmp_path):
    """With `frames="all"` every frame is an image called `file[0]`, `file[1]`, ...; a broken file is one name."""
    animation(tmp_path / "a.gif", [10, 200])
    (tmp_path / "b.gif").write_bytes(b"broken")
    animation(tmp_path / "c.gif", [20, 30, 40])
    Image.fromarray(np.full((4, 4), 50, np.uint8)).save(tmp_path / "d.png")
    files = ImageFiles(tmp_path, "skip", Decoding(frames="all"))
    files.start_at(first)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = [int(image[0, 0, 0]) for image in files]
    names = ["a.gif[0]", "a.gif[1]", "b.gif", "c.gif[0]", "c.gif[1]", "c.gif[2]", "d.png"][first:]
    assert [name.name for name in files.names] == names
    assert len(files) == len(names)
    expected = {"a.gif[0]": 10, "a.gif[1]": 200, "c.gif[0]": 20, "c.gif[1]": 30, "c.gif[2]": 40, "d.png": 50}
    assert dict(zip([name.name for name in files.read_paths], values, strict=True)) == {
        name: expected[name] for name in names if name != "b.gif"
    }


def test_frames_after_a_damaged_one_are_skipped(tmp_path):
    """A file that breaks off in its second page: the first counts, the others are named and skipped, or an error."""
    pages = [Image.fromarray(GENERATOR.integers(0, 256, (40, 40), dtype=np.uint8)) for _ in range(3)]
    path = tmp_path / "pages.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:], compression="tiff_adobe_deflate")
    with Image.open(path) as image:
        image.seek(1)
        (start,), (length,) = image.tag_v2[273], image.tag_v2[279]
    content = bytearray(path.read_bytes())
    content[start : start + length] = bytes(length)
    path.write_bytes(content)
    files = ImageFiles(path, "skip", Decoding(frames="all"))
    with pytest.warns(ImageWarning, match=r"pages\.tif\[1\]"):
        assert len(list(files)) == 1
    assert [name.name for name in files.skipped] == ["pages.tif[1]", "pages.tif[2]"]
    assert [name.name for name in files.read_paths] == ["pages.tif[0]"]
    with pytest.raises(UnreadableImageError, match=r"Received: .*pages\.tif\[1\] \("):
        list(ImageFiles(path, decoding=Decoding(frames="all")))


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
    """All image files of all folders below, sorted by folder and name; other files are counted in one warning."""
    names = make_tree(tmp_path)
    for name in ("notes.txt", "labels.csv", "more.csv", "none", ".hidden.txt", "Thumbs.db"):
        (tmp_path / name).write_text("no image")
    os.symlink(tmp_path / "nowhere", tmp_path / "broken.png")
    (tmp_path / "folder.png").mkdir()
    left_out = (
        f"Left out, no image files by name: 2 .csv; 1 without a suffix; 1 .txt; links that lead nowhere: {tmp_path}/broken.png."
    )
    with pytest.warns(ImageWarning, match=f"^{re.escape(left_out)}$") as caught:
        files = ImageFiles(tmp_path)
    assert len(caught) == 1
    assert files.left_out == {".csv": 2, "": 1, ".txt": 1}
    assert files.broken_links == [tmp_path / "broken.png"]
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
    Image.fromarray(GREY.astype(np.float32)).save(tmp_path / "to_255.tif")
    for name in ("a.png", "m.png", "z.png"):
        GOOD.save(tmp_path / name)
    bad = sorted([*UNREADABLE, "to_255.tif"])
    files = ImageFiles(tmp_path, unreadable="skip")
    with pytest.warns(ImageWarning, match="Skipped an unreadable image") as caught:
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
    with pytest.warns(ImageWarning, match=r"a\.png"):
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
    with pytest.raises(ValueError, match=rf"'\.png'.*{re.escape(f'Received: {tmp_path}')}$"):
        ImageFiles(tmp_path)
    (tmp_path / "notes.txt").write_text("no image")
    with (
        pytest.warns(ImageWarning, match=r"1 \.txt"),
        pytest.raises(ValueError, match=rf"'\.png'.*{re.escape(f'Received: {tmp_path}')}$"),
    ):
        ImageFiles(tmp_path)


def test_folders_and_files_at_once(tmp_path):
    """Several folders and files are read in the order given; a file given by itself is read whatever its name."""
    make_tree(tmp_path)
    GOOD.save(tmp_path / "unnamed", "PNG")
    files = ImageFiles([tmp_path / "c", tmp_path / "unnamed", str(tmp_path / "a"), tmp_path / "b.png"])
    names = ["c/1.JPG", "c/1.png", "c/d/e/f/deep.tif", "unnamed", "a/b/10.png", "a/b/2.png", "a/z.bmp", "b.png"]
    assert [path.relative_to(tmp_path).as_posix() for path in files.paths] == names
    assert len(list(files)) == len(names)


def test_a_format_that_an_extra_reads_is_said(tmp_path, monkeypatch):
    """Without the extra `heif`, its files are left out with a line on how to have them read."""
    monkeypatch.setattr(formats, "suffixes", lambda: frozenset({".png"}))
    GOOD.save(tmp_path / "a.png")
    (tmp_path / "b.heic").touch()
    with pytest.warns(ImageWarning, match=r"1 \.heic \(pip install 'keras-ood\[heif\]'\)"):
        ImageFiles(tmp_path)
    with pytest.raises(UnreadableImageError, match=r"pip install 'keras-ood\[heif\]'"):
        list(ImageFiles(tmp_path / "b.heic"))


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
