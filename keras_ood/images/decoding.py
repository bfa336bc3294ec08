"""From an image file to its pixels: upright, on a background, with all bits of grey."""

import math
import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from numbers import Real
from typing import IO, Any, cast

import numpy as np
from PIL import ExifTags, Image

from . import formats  # relative, and without Keras: the runner in runtime/ has this file, too
from .image_warning import ImageWarning

File = str | os.PathLike[str] | IO[bytes] | Image.Image

FRAMES = ("first", "all")

# What Pillow's many readers raise at damaged files.
DECODING_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    Image.DecompressionBombError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF orientation
_GREY = ("1", "L", "LA", "La")
_LEVELS = {"L;2": 3, "L;4": 15}  # of a PNG file's grey of fewer than 8 bits, by Pillow's name of how it is packed
_ONE_IMAGE = ("ICNS", "ICO", "MPO", "PSD")  # what else is in the file are its previews or layers
_NEW_SUBFILE_TYPE, _BITS_PER_SAMPLE, _PHOTOMETRIC = 254, 258, 262  # tags of TIFF
_SAMPLE_FORMAT, _SIGNED = 339, 2
_REDUCED_OR_MASK, _WHITE_IS_ZERO = 0b101, 0  # values of the first and the last of them


@dataclass(frozen=True)
class Decoding:
    """How image files, and images opened with Pillow, become arrays.

    An image comes upright, as its EXIF orientation says. Grey stays one channel, everything else becomes RGB. 8 bits a channel
    come as uint8. Grey of 16 bits, 32-bit integers and floats come as float32 in 0..1: `value / 65535` for integers, floats as
    they are; a value outside 0..65535 or 0..1 is refused. (Colour of 16 bits, and grey with alpha, Pillow reads as 8 bits.)

    Args:
        background: Red, green and blue in 0..255 of what lies behind transparent pixels. Opaque pixels keep their values; a
            grey image on a grey background stays grey.
        value_range: `(low, high)`: which values of 16-bit grey, 32-bit integers and floats are black and white, such as
            `(0, 4095)` for 12 bits; values outside are refused. 8 bits are not concerned.
        frames: Of a file with several frames or pages, `"first"`, with a warning that counts the others, or `"all"`, each an
            image of its own. Previews and layers (of MPO, ICO, ICNS, PSD, TIFF) are no frames.
        most_pixels: A file of more pixels, those of all frames to be read together, is refused before they are decoded; None
            leaves it to `PIL.Image.MAX_IMAGE_PIXELS`.

    Raises:
        ValueError: An argument is none of these.
    """

    background: tuple[int, int, int] = (255, 255, 255)
    value_range: tuple[float, float] | None = None
    frames: str = "first"
    most_pixels: int | None = None

    def __post_init__(self) -> None:
        background, ends = self.background, self.value_range
        if not (_numbers(background, 3) and all(value in range(256) for value in background)):
            raise ValueError(f"`background` must be red, green and blue, integers in 0..255. Received: {background!r}")
        if ends is not None and not (_numbers(ends, 2) and all(map(math.isfinite, ends)) and ends[0] < ends[1]):
            raise ValueError(f"`value_range` must be None or two numbers (low, high), low < high. Received: {ends!r}")
        if self.frames not in FRAMES:
            raise ValueError(f"`frames` must be one of {FRAMES}. Received: {self.frames!r}")
        if self.most_pixels is not None and not (isinstance(self.most_pixels, int) and self.most_pixels >= 1):
            raise ValueError(f"`most_pixels` must be None or a positive integer. Received: {self.most_pixels!r}")

    def images(self, file: File, left_out: Callable[[int], None] | None = None) -> Iterator[np.ndarray]:
        """Yield each image, `(height, width, 1 or 3)`, uint8 in 0..255 or float32 in 0..1.

        Args:
            file: A path, a stream of a file's bytes, or an image opened with Pillow, which stays open and at its frame.
            left_out: Function that is told how many frames were left out, in place of a warning.

        Raises:
            Exception: The file cannot be read; `keras_ood.images.decoding.DECODING_ERRORS` names what Pillow raises.
        """
        with opened_file(file) as image:
            at, frames, levels = image.tell(), frames_of(image), grey_levels(image)
            if self.frames == "first" and len(frames) > 1 and (at == frames[0] or not isinstance(file, Image.Image)):
                self._report(file, len(frames) - 1, left_out)
            pixels = 0
            first = [at] if isinstance(file, Image.Image) else frames[:1]
            for frame in frames if self.frames == "all" else first:
                with quiet():
                    if frame != image.tell():
                        image.seek(frame)
                    pixels += image.width * image.height
                    if self.most_pixels is not None and pixels > self.most_pixels:
                        raise ValueError(f"An image file may have {self.most_pixels:,} pixels. Received: {pixels:,}")
                    decoded = self.decode(image, levels)
                yield decoded

    def image(self, file: File) -> np.ndarray:
        """Return the first image of a file, see `images`."""
        return next(self.images(file))

    def count(self, file: File) -> int:
        """Return how many images `images` yields, without decoding them; raises `DECODING_ERRORS` likewise."""
        if self.frames == "first":
            return 1
        with opened_file(file) as image:
            return len(frames_of(image))

    def _report(self, file: File, others: int, left_out: Callable[[int], None] | None) -> None:
        if left_out is not None:
            left_out(others)
            return
        name = file if isinstance(file, (str, os.PathLike)) else getattr(file, "filename", "") or f"a {type(file).__name__}"
        message = f'Only the first of {others + 1:,} frames is read; Decoding(frames="all") takes each. Received: {name}'
        warnings.warn(message, ImageWarning, stacklevel=3)

    def decode(self, image: Image.Image, levels: int) -> np.ndarray:
        """Return the pixels of the frame at which an image is; `levels` are its `grey_levels` before it was loaded."""
        image.load()
        tags = getattr(image, "tag_v2", {})
        upright = _upright(image)
        mode, key = upright.mode, upright.info.get("transparency")
        if mode in ("F", "I") or mode.startswith("I;16"):
            values = np.asarray(upright)[..., None]
            alpha = values != key if isinstance(key, int) else None
            return self._on_background(self._scale(values, mode, tags), alpha)
        grey = mode in _GREY
        if tags.get(_SAMPLE_FORMAT, ())[:1] == (_SIGNED,):
            raise ValueError(f"Numbers without a sign are accepted. Received: signed ones, mode {mode!r}")
        if mode in ("1", "L", "RGB"):
            pixels = np.asarray(upright.convert("L") if mode == "1" else upright).reshape(upright.height, upright.width, -1)
            return self._on_background(pixels, _key_alpha(pixels, key, levels))
        if upright.has_transparency_data:
            both = np.asarray(upright.convert("LA" if grey else "RGBA"))
            return self._on_background(both[..., :-1], both[..., -1:])
        return np.asarray(upright.convert("RGB"))

    def _scale(self, values: np.ndarray, mode: str, tags: Mapping[int, Any]) -> np.ndarray:
        """Bring numbers of more than 8 bits to float32 in 0..1."""
        white = 1.0 if mode == "F" else 4095.0 if tags.get(_BITS_PER_SAMPLE) == (12,) else 65535.0
        low, high = self.value_range or (0.0, white)
        lowest, highest = values.min(), values.max()
        if not (low <= lowest and highest <= high):  # nor NaN
            kind = "Floats" if mode == "F" else "Integers of more than 8 bits"
            raise ValueError(
                f"{kind} must be in {low:g}..{high:g}; value_range=(low, high), --value-range at a shell, gives other ends. "
                f"Received: values from {lowest:g} to {highest:g}"
            )
        scaled = np.subtract(values, low, dtype=np.float64) / (float(high) - low)
        if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            scaled = 1 - scaled
        return np.asarray(scaled, np.float32)

    def _on_background(self, pixels: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
        """Blend with the background, uint8 rounded to the nearest.

        Args:
            pixels: `(height, width, 1 or 3)`, uint8 or float32.
            alpha: `(height, width, 1)`, boolean or 0..255, None where all is opaque.
        """
        if alpha is None:
            return pixels
        background = np.array(self.background, np.uint16)
        if pixels.shape[-1] == 1 and len(set(self.background)) == 1:
            background = background[:1]
        if pixels.dtype != np.uint8:
            return np.where(alpha, pixels, background.astype(np.float32) / np.float32(255))
        if alpha.dtype == bool:
            return np.where(alpha, pixels, background.astype(np.uint8))
        weight = alpha.astype(np.uint16)
        return ((pixels * weight + background * (255 - weight) + 127) // 255).astype(np.uint8)  # at most 65,152


@contextmanager
def quiet() -> Iterator[None]:
    """Without Pillow's warnings: of large images, whose limit is its error, and of metadata. Not for several threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def opened_file(file: File) -> Iterator[Image.Image]:
    """An image file, its header read; an image opened with Pillow is at its frame again afterwards."""
    if isinstance(file, Image.Image):
        at, name = file.tell(), getattr(file, "filename", "")
        if file.format == "TIFF":
            cast(Any, file).filename = ""  # as below
        try:
            yield file
        finally:
            cast(Any, file).filename = name
            if file.tell() != at:
                file.seek(at)
        return
    # As a stream: Pillow maps a grey TIFF file that has a name into memory with the sides swapped, if its orientation swaps
    # them (12.3).
    with open(file, "rb") if isinstance(file, (str, os.PathLike)) else nullcontext(file) as stream:
        with quiet():
            image = Image.open(stream, formats=formats.readable())
        with image:
            yield image


def frames_of(image: Image.Image) -> Sequence[int]:
    """The numbers of the frames that are no previews, layers or masks of another."""
    with quiet():
        at, count = image.tell(), getattr(image, "n_frames", 1)
        if count == 1 or image.format in _ONE_IMAGE:
            return [at]
        if image.format != "TIFF":
            return range(count)
        found = []
        for frame in range(count):
            image.seek(frame)
            if not cast(Any, image).tag_v2.get(_NEW_SUBFILE_TYPE, 0) & _REDUCED_OR_MASK:
                found.append(frame)
        image.seek(at)
        return found or [at]


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except DECODING_ERRORS:  # damaged EXIF says nothing
        turn = None
    return image if turn is None else image.transpose(turn)


def grey_levels(image: Image.Image) -> int:
    """The value of white in a PNG file's own count, in which its transparent grey is given; pixels are spread over 0..255."""
    if image.mode == "1":
        return 1
    tile = getattr(image, "tile", None)  # empty once the pixels are loaded
    return _LEVELS.get(tile[0][3], 255) if image.format == "PNG" and tile else 255


def _key_alpha(pixels: np.ndarray, key: Any, levels: int) -> np.ndarray | None:
    """False where a pixel has the one value that stands for transparent."""
    if pixels.shape[-1] == 1 and isinstance(key, int):
        return np.asarray(pixels != (key & levels) * (255 // levels))
    if pixels.shape[-1] == 3 and _numbers(key, 3):
        eight = [value >> 8 for value in key] if max(key) > 255 else key  # of 16 bits, like the pixels
        return np.asarray(np.any(pixels != np.array(eight), axis=-1, keepdims=True))
    return None


def _numbers(value: Any, count: int) -> bool:
    return isinstance(value, tuple) and len(value) == count and all(isinstance(each, Real) for each in value)
