"""From a file to pixels: upright, on a background, every bit of them, every frame."""

import io
import re
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, features

from keras_ood.images import Decoding, ImageWarning
from keras_ood.images import formats as known
from keras_ood.images.decoding import DECODING_ERRORS

pytestmark = pytest.mark.once

GENERATOR = np.random.default_rng(0)
GREY = GENERATOR.integers(0, 256, (5, 7), dtype=np.uint8)
COLOUR = GENERATOR.integers(0, 256, (5, 7, 3), dtype=np.uint8)
ALPHA = np.where(GENERATOR.random((5, 7)) < 0.3, 255, GENERATOR.integers(0, 256, (5, 7))).astype(np.uint8)
DEEP = GENERATOR.integers(0, 65536, (5, 7)).astype(np.uint16)
WHITE = (255, 255, 255)


def saved(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream


def on(background, pixels, alpha):
    """Blended in real numbers, rounded."""
    weight = alpha[..., None] / 255
    return np.round(pixels * weight + np.array(background) * (1 - weight)).astype(np.uint8)


# How an upright array is stored to be shown upright again by each EXIF orientation.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}
BLOCKS = np.kron(GENERATOR.integers(0, 256, (2, 3, 1)), np.ones((16, 16, 3))).astype(np.uint8)
ORIENTED = {
    "PNG": ({}, 0),
    "TIFF": ({}, 0),
    "TIFF, compressed": ({"compression": "tiff_lzw"}, 0),
    "WEBP": ({"lossless": True}, 0),
    "JPEG": ({"quality": 95}, 6),
    "MPO": ({"quality": 95}, 6),
    "AVIF": ({"quality": 95}, 6),
    "HEIF": ({"quality": 95}, 6),
}
LACKING = {"AVIF": not features.check("avif"), "HEIF": ".heic" not in known.suffixes()}


@pytest.mark.parametrize("kind", ORIENTED)
def test_every_orientation_comes_upright(kind):
    """All eight EXIF orientations, in every format that carries one."""
    (options, tolerance), name = ORIENTED[kind], kind.split(",")[0]
    if LACKING.get(name):
        pytest.skip(f"no {name}")
    for orientation, store in STORED.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        stream = saved(Image.fromarray(np.ascontiguousarray(store(BLOCKS))), name, exif=exif.tobytes(), **options)
        pixels = Decoding().image(stream)
        assert pixels.shape == BLOCKS.shape, orientation
        assert np.abs(pixels.astype(int) - BLOCKS).mean() <= tolerance, orientation


def test_each_page_has_its_own_orientation():
    """Pages of a TIFF file are turned one by one."""
    pages = []
    for orientation in (6, 1, 3):
        page = Image.fromarray(np.ascontiguousarray(STORED[orientation](BLOCKS)))
        page.encoderinfo = {"tiffinfo": {0x0112: orientation}}
        pages.append(page)
    stream = saved(pages[0], "TIFF", save_all=True, append_images=pages[1:], tiffinfo={0x0112: 6})
    images = list(Decoding(frames="all").images(stream))
    assert len(images) == 3
    for image in images:
        np.testing.assert_array_equal(image, BLOCKS)


def test_damaged_exif_turns_nothing():
    """An EXIF block that cannot be read costs the orientation, not the image."""
    stream = saved(Image.fromarray(COLOUR), "PNG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff")
    np.testing.assert_array_equal(Decoding().image(stream), COLOUR)


def grey_alpha():
    return Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)])


def colour_alpha():
    return Image.fromarray(np.dstack([COLOUR, ALPHA]))


PALETTE = Image.fromarray(COLOUR).quantize(16)
INDICES, COLOURS = np.asarray(PALETTE), np.asarray(PALETTE.convert("RGB"))
BITS = GREY > 127
GREY_KEY, COLOUR_KEY = int(GREY[2, 3]), tuple(map(int, COLOUR[2, 3]))
FOUR_BITS = GREY // 17  # of 16 levels


# Name -> (a stream, its pixels, their alpha).
TRANSPARENT = {
    "RGBA": (lambda: saved(colour_alpha(), "PNG"), COLOUR, ALPHA),
    "RGBA in WebP": (lambda: saved(colour_alpha(), "WEBP", lossless=True, exact=True), COLOUR, ALPHA),
    "RGBA in TIFF": (lambda: saved(colour_alpha(), "TIFF"), COLOUR, ALPHA),
    "LA": (lambda: saved(grey_alpha(), "PNG"), GREY[..., None], ALPHA),
    "P with a clear colour": (lambda: saved(PALETTE, "PNG", transparency=3), COLOURS, 255 * (INDICES != 3)),
    "P with a clear colour in GIF": (lambda: saved(PALETTE, "GIF", transparency=3), COLOURS, 255 * (INDICES != 3)),
    "P with alphas": (lambda: saved(PALETTE, "PNG", transparency=bytes(range(0, 256, 16))), COLOURS, 16 * INDICES),
    "L with a clear grey": (
        lambda: saved(Image.fromarray(GREY), "PNG", transparency=GREY_KEY),
        GREY[..., None],
        255 * (GREY != GREY_KEY),
    ),
    "RGB with a clear colour": (
        lambda: saved(Image.fromarray(COLOUR), "PNG", transparency=COLOUR_KEY),
        COLOUR,
        255 * (COLOUR != COLOUR_KEY).any(-1),
    ),
    "1 with clear white": (
        lambda: saved(Image.fromarray(BITS), "PNG", transparency=1),
        255 * BITS[..., None].astype(np.uint8),
        255 * ~BITS,
    ),
}


@pytest.mark.parametrize("background", [WHITE, (0, 0, 0), (10, 200, 30)], ids=str)
@pytest.mark.parametrize("name", TRANSPARENT)
def test_transparent_pixels_lie_on_the_background(name, background):
    """Blended as in real numbers; opaque pixels are exact; grey on a grey background stays grey."""
    stream, pixels, alpha = TRANSPARENT[name]
    image = Decoding(background=background).image(stream())
    expected = on(background, pixels.astype(int), alpha)
    if pixels.shape[-1] == 1 and len(set(background)) == 1:
        expected = expected[..., :1]
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= (1 if "WebP" in name else 0)
    np.testing.assert_array_equal(image[alpha == 255], np.broadcast_to(pixels, image.shape)[alpha == 255])


def test_a_pillow_image_with_alpha_in_its_palette():
    """Mode PA, which no file format of Pillow writes."""
    image = PALETTE.convert("PA")
    image.putalpha(Image.fromarray(ALPHA))
    assert image.mode == "PA"
    np.testing.assert_array_equal(Decoding().image(image), on(WHITE, COLOURS.astype(int), ALPHA))


def png_of_four_bits():
    """A PNG file of 4 bits of grey, whose value 15 stands for transparent, made by hand: Pillow writes only 8."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + bytes((a << 4) | b for a, b in zip(row[::2], [*row[1::2], 0], strict=True)) for row in FOUR_BITS)
    header = struct.pack(">IIBBBBB", 7, 5, 4, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"tRNS", struct.pack(">H", 15)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks))


def test_the_clear_grey_of_few_bits_counts_in_those_bits():
    """Of 4 bits of grey, 15 is white: pixels are spread over 0..255, and so is what stands for transparent."""
    FOUR_BITS[0, 0] = 15
    image = Decoding(background=(0, 0, 0)).image(png_of_four_bits())
    np.testing.assert_array_equal(image[..., 0], np.where(FOUR_BITS == 15, 0, FOUR_BITS * 17))


NUMBERS = {
    "16 bits, PNG": (lambda: saved(Image.fromarray(DEEP), "PNG"), DEEP / 65535),
    "16 bits, TIFF": (lambda: saved(Image.fromarray(DEEP), "TIFF"), DEEP / 65535),
    "16 bits, big-endian": (lambda: Image.fromarray(DEEP.astype(">u2")), DEEP / 65535),
    "16 bits, PGM": (lambda: io.BytesIO(b"P5 7 5 65535\n" + DEEP.astype(">u2").tobytes()), DEEP / 65535),
    "12 bits, PGM": (lambda: io.BytesIO(b"P5 7 5 4095\n" + (DEEP // 16).astype(">u2").tobytes()), DEEP // 16 / 4095),
    "16 bits, white is 0": (
        lambda: saved(Image.fromarray(DEEP), "TIFF", tiffinfo={262: 0}),
        1 - DEEP / 65535,
    ),
    "32 bits": (lambda: saved(Image.fromarray(DEEP.astype(np.int32)), "TIFF"), DEEP / 65535),
    "floats": (lambda: saved(Image.fromarray((DEEP / 65535).astype(np.float32)), "TIFF"), DEEP / 65535),
    "16 bits, turned": (
        lambda: saved(Image.fromarray(np.ascontiguousarray(np.rot90(DEEP))), "TIFF", tiffinfo={0x0112: 6}),
        DEEP / 65535,
    ),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_more_than_eight_bits_are_kept(name):
    """16 bits are value / 65535, floats what they are: float32, one channel, nothing rounded to 8 bits."""
    file, expected = NUMBERS[name]
    image = Decoding().image(file())
    assert image.dtype == np.float32
    np.testing.assert_allclose(image[..., 0], expected, rtol=1e-6, atol=1e-7 if "12" not in name else 1e-5)


def test_the_clear_grey_of_sixteen_bits():
    """A 16-bit PNG with a transparent value: that pixel is the background, in grey and in colour."""
    stream = saved(Image.fromarray(DEEP), "PNG", transparency=int(DEEP[2, 3]))
    assert Decoding().image(stream)[2, 3] == 1
    image = Decoding(background=(0, 51, 255)).image(stream)
    np.testing.assert_allclose(image[2, 3], [0, 0.2, 1], rtol=1e-6)
    np.testing.assert_allclose(image[0, 0], np.full(3, DEEP[0, 0] / 65535), rtol=1e-6)


RANGES = {
    "12 bits in 16": (DEEP // 16, (0, 4095), DEEP // 16 / 4095),
    "16 bits that begin above 0": (DEEP // 2 + 1000, (1000, 33767), DEEP // 2 / 32767),
    "floats to 255": ((DEEP / 257).astype(np.float32), (0, 255), DEEP / 65535),
    "floats below 0": ((DEEP / 65535 * 2 - 1).astype(np.float32), (-1, 1), DEEP / 65535),
    "32 bits": (DEEP.astype(np.int32) * 1000, (0, 65535000), DEEP / 65535),
}


@pytest.mark.parametrize("name", RANGES)
def test_a_value_range_gives_other_ends(name):
    """Black and white are where `value_range` says."""
    values, ends, expected = RANGES[name]
    image = Decoding(value_range=ends).image(saved(Image.fromarray(values), "TIFF"))
    np.testing.assert_allclose(image[..., 0], expected, rtol=1e-6, atol=1e-6)


OUTSIDE = {
    "floats to 255": ((DEEP / 257).astype(np.float32), None),
    "negative floats": ((DEEP / 65535 - 0.5).astype(np.float32), None),
    "NaN": (np.full((2, 2), np.nan, np.float32), None),
    "infinity": (np.full((2, 2), np.inf, np.float32), (0, 1e9)),
    "32 bits": (DEEP.astype(np.int32) * 1000, None),
    "negative integers": (DEEP.astype(np.int32) - 70000, None),
    "16 bits beyond the range": (DEEP, (0, 4095)),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_value_outside_the_range_is_refused(name):
    """Never clipped, never scaled by a guess: an error that says the range and how to give another."""
    values, ends = OUTSIDE[name]
    with pytest.raises(ValueError, match=r"value_range.* Received: values from "):
        Decoding(value_range=ends).image(saved(Image.fromarray(values), "TIFF"))


def frames_of(kind):
    """Three frames of colour as a file of a format, and how near they must come back."""
    values = [np.kron(GENERATOR.integers(0, 256, (2, 2, 3)), np.ones((8, 8, 1))).astype(np.uint8) for _ in range(3)]
    options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 95, "subsampling": "4:4:4"}}.get(kind, {})
    first, *rest = map(Image.fromarray, values)
    return values, saved(first, kind, save_all=True, append_images=rest, **options)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_all_frames_or_the_first_with_a_warning(kind):
    """`"first"` says how many were left out; `"all"` yields each, as if it were a file."""
    values, stream = frames_of(kind)
    with pytest.warns(ImageWarning, match=r"first of 3 frames"):
        (first,) = Decoding().images(stream)
    counted = []
    (told,) = Decoding().images(stream, counted.append)
    images = list(Decoding(frames="all").images(stream))
    assert counted == [2]
    assert Decoding(frames="all").count(stream) == len(images) == 3
    assert Decoding().count(stream) == 1
    for image, value in zip([first, told, *images], [values[0], values[0], *values], strict=True):
        assert image.shape == value.shape
        assert np.abs(image.astype(int) - value).mean() < 4


def test_grey_frames_stay_grey():
    """Later frames of a grey GIF too."""
    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (10, 200, 90)]
    stream = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    images = list(Decoding(frames="all").images(stream))
    assert [int(image.mean()) for image in images] == [10, 200, 90]


def test_previews_are_no_frames():
    """The second image of an MPO file, and a TIFF page that calls itself a smaller copy or a mask, are not read."""
    for kind, options in (("MPO", {}), ("TIFF", {"tiffinfo": {254: 1}}), ("TIFF", {"tiffinfo": {254: 4}})):
        image, small = Image.fromarray(BLOCKS), Image.fromarray(BLOCKS[::2, ::2])
        small.encoderinfo = options
        file = saved(image, kind, save_all=True, append_images=[small])
        assert Image.open(file).n_frames == 2
        for frames in ("first", "all"):
            assert [each.shape for each in Decoding(frames=frames).images(file)] == [BLOCKS.shape]


@pytest.mark.parametrize("frames", ["first", "all"])
def test_an_open_image_stays_as_it_was(frames):
    """A caller's Pillow image is read from the frame where it is, and stays open, there, in its mode."""
    values, stream = frames_of("GIF")
    image = Image.open(stream)
    image.seek(1)
    mode, size, info = image.mode, image.size, dict(image.info)
    images = list(Decoding(frames=frames).images(image))
    np.testing.assert_array_equal(images[1 if frames == "all" else 0], values[1])
    assert (image.tell(), image.mode, image.size, dict(image.info)) == (1, mode, size, info)
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), values[1])


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
def test_an_open_image_is_not_turned(kind):
    """What a caller holds keeps its orientation and pixels, however often it is read."""
    image = Image.fromarray(np.ascontiguousarray(STORED[6](BLOCKS)))
    image.getexif()[0x0112] = 6
    before = np.array(image)
    for _ in range(2):
        np.testing.assert_array_equal(Decoding().image(image), BLOCKS)
    np.testing.assert_array_equal(np.array(image), before)
    assert image.getexif()[0x0112] == 6


def test_pixels_are_counted_before_they_are_decoded(monkeypatch):
    """More than `most_pixels`, those of all frames to be read: refused, before any is decoded."""
    values, stream = frames_of("PNG")
    one = values[0].shape[0] * values[0].shape[1]
    assert len(list(Decoding(frames="all", most_pixels=3 * one).images(stream))) == 3
    with pytest.raises(ValueError, match=rf"{3 * one - 1:,} pixels. Received: {3 * one:,}$"):
        list(Decoding(frames="all", most_pixels=3 * one - 1).images(stream))
    monkeypatch.setattr(Decoding, "decode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ValueError, match=r"pixels. Received: "):
        list(Decoding(most_pixels=one - 1).images(stream, int))


def test_a_large_image_is_no_warning(monkeypatch):
    """Pillow's warning of large images is not passed on; what Pillow refuses is an error like that of a broken file."""
    stream = saved(Image.fromarray(GREY), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(Decoding().image(stream)[..., 0], GREY)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(DECODING_ERRORS, match="decompression bomb"):
        Decoding().image(stream)


def test_a_page_for_another_program_is_never_opened():
    """What Pillow hands to Ghostscript is refused, whatever the file is called."""
    stream = io.BytesIO()
    Image.fromarray(COLOUR).save(stream, "EPS")
    with pytest.raises(OSError, match="cannot identify"):
        Decoding().image(stream)


def test_the_suffixes_are_those_that_pillow_decodes():
    """Everything with a decoder in this Pillow, nothing that is only identified; HEIF with its plugin."""
    suffixes = known.suffixes()
    assert {".png", ".jfif", ".jpe", ".mpo", ".tif", ".pgm", ".tga", ".ico", ".apng"} <= suffixes
    assert (".avif" in suffixes, ".jp2" in suffixes) == (features.check("avif"), features.check("jpg_2000"))
    assert not suffixes & {".eps", ".ps", ".pdf", ".mpg", ".h5", ".hdf", ".grib", ".bufr", ".wmf", ".emf", ".fits", ".iim"}
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in suffixes)


def test_heif_is_read():
    """With the extra `heif`."""
    if LACKING["HEIF"]:
        pytest.skip("no HEIF")
    assert known.suffixes() >= known.HEIF
    image = Decoding().image(saved(Image.fromarray(BLOCKS), "HEIF", quality=95))
    assert image.shape == BLOCKS.shape
    assert np.abs(image.astype(int) - BLOCKS).mean() < 4


INVALID = {
    "background": [(255, 255), "white", 255, (0, 0, 256), (0, -1, 0), (0.5, 0, 0), None],
    "value_range": [(0,), (1, 0), (0, 0), (0, float("inf")), (float("nan"), 1), "0,1", 255],
    "frames": ["last", "", None, 1],
    "most_pixels": [0, -1, 1.5, "1"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in INVALID for value in INVALID[name]], ids=repr)
def test_an_option_that_is_none_is_refused(name, value):
    """Each is checked when it is given; the error ends with what was received."""
    with pytest.raises(ValueError, match=rf"^`{name}` must be .*{re.escape(f'Received: {value!r}')}$"):
        Decoding(**{name: value})


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "ICNS", "JPEG2000", "TGA", "AVIF", "HEIF"])
def test_damage_is_a_known_error(kind):
    """Cut off or overwritten anywhere: an array, or one of the errors that say that a file cannot be read."""
    known.readable()
    content = saved(Image.fromarray(BLOCKS), kind).getvalue()
    generator = np.random.default_rng(0)
    for place in generator.integers(0, len(content), 20).tolist():
        for damaged in (content[:place], content[:place] + bytes(3) + content[place + 3 :]):
            try:
                image = next(Decoding(most_pixels=10**6).images(io.BytesIO(damaged), left_out=int))
            except DECODING_ERRORS:
                continue
            assert image.ndim == 3
