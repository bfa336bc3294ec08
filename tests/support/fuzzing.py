"""Generated inputs for a detector, each with the plain arrays that it stands for, or the knowledge that it is none.

`tools/fuzz.py` runs many of them, `tests/images/test_fuzz.py` a few: none may crash without a clear error, hang, or give a
score that differs from that of the plain arrays.
"""

import signal
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import ml_dtypes
import numpy as np
from PIL import Image

from keras_ood.app.archive import Archive
from keras_ood.images import Decoding, ImageFiles

PATIENCE = 30  # seconds for one case
SIZES = ((8, 8), (1, 1), (5, 7), (16, 16), (9, 30), (28, 28))
LOSSLESS = {
    "L": ("png", "bmp", "tif", "pgm", "gif", "tga", "jp2", "pcx", "sgi"),
    "RGB": ("png", "bmp", "tif", "ppm", "webp", "jp2", "tga", "pcx", "sgi"),
    "RGBA": ("png", "tif", "webp", "tga"),
    "LA": ("png",),
    "P": ("png", "gif", "bmp", "tif"),
    "P, one colour transparent": ("png", "gif"),
    "1": ("png", "tif", "pbm"),
    "I;16": ("png", "tif"),
    "F": ("tif",),
}
CARRY_ORIENTATION = ("png", "tif", "webp", "jpg")
# How pixels are stored so that a viewer who obeys the EXIF orientation sees them upright.
STORED = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, 1),
    7: lambda image: np.rot90(image, 2).swapaxes(0, 1),
    8: lambda image: np.rot90(image, -1),
}
SETTINGS = {
    "mixed_bfloat16": (keras.config.set_dtype_policy, "mixed_bfloat16", "float32"),
    "float16": (keras.config.set_floatx, "float16", "float32"),
    "channels_first": (keras.config.set_image_data_format, "channels_first", "channels_last"),
}


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        words: What it is.
        source: Function that makes it, in an empty folder.
        images: The arrays that it stands for, `(height, width, 1 or 3)`, uint8 or float32; None for one that is no image.
        damaged: Whether its files were changed, so that any finite score or a clear error may come of it.
    """

    words: str
    source: Callable[[Path], Any]
    images: list[np.ndarray] | None
    damaged: bool = False


class Batches(keras.utils.PyDataset):
    """Batches of two images."""

    def __init__(self, images: np.ndarray) -> None:
        super().__init__()
        self.images = images

    def __len__(self) -> int:
        """Number of batches."""
        return -(-len(self.images) // 2)

    def __getitem__(self, index: int) -> Any:
        """A batch with labels."""
        batch = self.images[2 * index : 2 * index + 2]
        return batch, np.zeros(len(batch))


def case(seed: int, number: int) -> Case:
    """Return case `number` of the run with that seed, always the same."""
    generator = np.random.default_rng([seed, number])
    make = generator.choice([_array, _files, _damaged, _no_images], p=[0.35, 0.35, 0.15, 0.15])
    return make(generator)  # type: ignore[no-any-return]


def problem(detector: Any, given: Case, folder: Path, setting: str | None = None) -> str | None:
    """Score a case and return what is wrong with what came of it, None where nothing is.

    Args:
        detector: Any detector; scored by `nll`.
        given: The case.
        folder: An empty folder.
        setting: Name of one of `SETTINGS` under which it is scored.
    """
    try:
        with (
            warnings.catch_warnings(),
            _alarm(),
            _setting(setting) if setting else nullcontext(),
            _closing(given.source(folder)) as source,
        ):
            warnings.simplefilter("ignore")  # of what is left out
            found = detector.score(source, "nll", batch_size=4, progress=False)
    except (ValueError, OSError) as error:
        if given.images is not None and not given.damaged:
            return f"refused: {error}"
        return None if "Received: " in str(error) else f"unclear: {error!r}"
    except Exception as error:
        return f"crashed: {error!r}"
    if given.damaged:
        return None if np.all(np.isfinite(found)) else f"scores {found}"
    if given.images is None:
        return f"taken for images, scores {found}"
    expected = np.concatenate([detector.score(image[None], "nll", progress=False) for image in given.images])
    if found.shape == expected.shape and np.allclose(found, expected, rtol=1e-4, atol=1e-3):
        return None
    return f"scores {found}, of the plain arrays {expected}"


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(number: int, frame: Any) -> None:
        raise TimeoutError(f"{PATIENCE} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _closing(source: Any) -> Iterator[Any]:
    try:
        yield source
    finally:
        for item in source if isinstance(source, list) else ():
            if isinstance(item, Image.Image):
                item.close()


@contextmanager
def _setting(name: str) -> Iterator[None]:
    change, value, usual = SETTINGS[name]
    change(value)
    try:
        yield
    finally:
        change(usual)


def _levels(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Noise, a ramp, or one colour."""
    kind = generator.integers(3)
    if kind == 0:
        return generator.integers(0, 256, shape, dtype=np.uint8)
    if kind == 1:
        ramp = np.linspace(0, 255, int(np.prod(shape)))
        return ramp.reshape(shape).astype(np.uint8)
    return np.full(shape, generator.integers(256), np.uint8)


# Arrays and streams of them.

DTYPES = ("uint8", "float16", "float32", "float64", ">f4", "longdouble", "bfloat16")
LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "reversed": lambda images: images[::-1].copy()[::-1],
    "every second": lambda images: images.repeat(2, axis=0)[::2],
    "channels moved": lambda images: np.moveaxis(np.ascontiguousarray(np.moveaxis(images, -1, 1)), 1, -1),
    "mirrored twice": lambda images: images[:, :, ::-1].copy()[:, :, ::-1],
}
CONTAINERS: dict[str, Callable[[np.ndarray, Path], Any]] = {
    "array": lambda images, folder: images,
    "tensor": lambda images, folder: keras.ops.convert_to_tensor(_plain(images)),
    "list of images": lambda images, folder: list(images),
    "generator of images": lambda images, folder: iter(images),
    "generator": lambda images, folder: (images[at : at + 2] for at in range(0, len(images), 2)),
    "labelled": lambda images, folder: ((images[at : at + 3], np.zeros(3)) for at in range(0, len(images), 3)),
    "dictionary": lambda images, folder: {"images": images, "labels": None},
    "PyDataset": lambda images, folder: Batches(images),
    ".npy": lambda images, folder: _saved(np.save, folder / "a.npy", _plain(images)),
    ".npz": lambda images, folder: _saved(np.savez_compressed, folder / "a.npz", _plain(images)),
    "memory map": lambda images, folder: np.load(_saved(np.save, folder / "a.npy", _plain(images)), mmap_mode="r"),
}


def _plain(images: np.ndarray) -> np.ndarray:
    """In a dtype that files and backends know."""
    return images if images.dtype in (np.uint8, np.float32, np.float16) else images.astype(np.float32)


def _saved(save: Callable[..., Any], path: Path, images: np.ndarray) -> Path:
    save(path, images)
    return path


def _array(generator: np.random.Generator) -> Case:
    size, channels = SIZES[generator.integers(len(SIZES))], int(generator.choice([1, 3]))
    levels = _levels(generator, (int(generator.integers(1, 6)), *size, channels))
    dtype, layout, container = (str(generator.choice(list(names))) for names in (DTYPES, LAYOUTS, CONTAINERS))
    kind = np.dtype(ml_dtypes.bfloat16) if dtype == "bfloat16" else np.dtype(dtype)
    images = LAYOUTS[layout](levels if dtype == "uint8" else (levels / 255).astype(kind))
    if generator.integers(2):
        images.flags.writeable = False
    plain = images if dtype == "uint8" else images.astype(np.float32)
    words = f"{dtype} {images.shape}, {layout}, {container}"
    return Case(words, lambda folder: CONTAINERS[container](images, folder), list(plain))


# Files.


def _files(generator: np.random.Generator) -> Case:
    count = int(generator.integers(1, 5))
    made = [_file(generator) for _ in range(count)]
    names = [f"{number:02}.{suffix}" for number, (suffix, _, _, _) in enumerate(made)]
    container = str(generator.choice(["path", "list", "folder", "ImageFiles", "opened", "zip"] if count > 1 else ["path"]))

    def source(folder: Path) -> Any:
        for name, (_, save, _, _) in zip(names, made, strict=True):
            save(folder / name)
        paths = [folder / name for name in names]
        if container == "path":
            return paths[0]
        if container == "opened":
            return [Image.open(path) for path in paths]
        if container == "zip":
            with zipfile.ZipFile(folder / "a.zip", "w") as archive:
                for path in paths:
                    archive.write(path, str(generator.choice(["in/", ""])) + path.name)
            return list(Archive(folder / "a.zip", Decoding()))
        (folder / ".hidden.png").write_bytes(b"no data")
        return {"list": paths, "folder": folder, "ImageFiles": ImageFiles(folder)}[container]

    words = f"{container} of {', '.join(text for *_, text in made)}"
    return Case(words, source, [image for _, _, image, _ in made][: 1 if container == "path" else None])


def _file(generator: np.random.Generator) -> tuple[str, Callable[[Path], None], np.ndarray, str]:
    """A suffix, the function that writes the file, the image that a viewer sees on white, and what it is in words."""
    mode = str(generator.choice(list(LOSSLESS)))
    suffix = str(generator.choice(LOSSLESS[mode]))
    size = SIZES[generator.integers(len(SIZES))]
    if suffix == "pcx" and size == (1, 1):  # Pillow does not read what it writes
        size = (8, 8)
    seen, picture = _picture(generator, mode, size)
    orientation = int(generator.integers(1, 9)) if suffix in CARRY_ORIENTATION and generator.integers(2) else 1
    stored = STORED[orientation]
    options: dict[str, Any] = {"webp": {"lossless": True, "exact": True}, "jp2": {"irreversible": False}}.get(suffix, {})
    if orientation != 1:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = options | {"exif": exif}

    def save(path: Path) -> None:
        picture(stored).save(path, **options)

    return suffix, save, seen, f"{suffix} {mode} {size} orientation {orientation}"


def _picture(
    generator: np.random.Generator, mode: str, size: tuple[int, int]
) -> tuple[np.ndarray, Callable[[Callable[[np.ndarray], np.ndarray]], Image.Image]]:
    """The image that a viewer sees, and the function that gives the picture of its stored pixels."""

    def of(pixels: np.ndarray, name: str | None = None) -> Callable[..., Image.Image]:
        return lambda stored: Image.fromarray(np.ascontiguousarray(stored(pixels)), name)

    if mode in ("L", "RGB"):
        pixels = _levels(generator, (*size, 3) if mode == "RGB" else size)
        return pixels.reshape(*size, -1), of(pixels)
    if mode in ("LA", "RGBA"):
        pixels = generator.integers(0, 256, (*size, len(mode)), dtype=np.uint8)
        pixels[..., -1] = generator.choice([0, 255, 100], size).astype(np.uint8)
        colour, alpha = pixels[..., :-1].astype(int), pixels[..., -1:].astype(int)
        return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8), of(pixels)
    if mode == "1":
        bits = generator.integers(0, 2, size).astype(bool)
        return (255 * bits[..., None]).astype(np.uint8), of(bits)
    if mode == "I;16":
        values = generator.integers(0, 65536, size, dtype=np.uint16)
        return (values[..., None] / 65535).astype(np.float32), of(values)
    if mode == "F":
        floats = generator.random(size, np.float32)
        return floats[..., None], of(floats)
    indices = generator.integers(0, 17, size, dtype=np.uint8)
    palette = generator.integers(0, 256, (17, 3), dtype=np.uint8)
    seen = palette.copy()
    if "transparent" in mode:
        seen[3] = 255

    def picture(stored: Callable[[np.ndarray], np.ndarray]) -> Image.Image:
        made = Image.fromarray(np.ascontiguousarray(stored(indices)), "L")
        made.putpalette(palette.tobytes())
        if "transparent" in mode:
            made.info["transparency"] = 3
        return made

    return seen[indices], picture


# What is damaged, and what never was an image.

DAMAGE: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "truncated": lambda content, generator: content[: generator.integers(len(content))],
    "a byte changed": lambda content, generator: _changed(content, generator, 1),
    "many bytes changed": lambda content, generator: _changed(content, generator, 40),
    "zeros": lambda content, generator: bytes(len(content)),
    "empty": lambda content, generator: b"",
    "text": lambda content, generator: b"no image at all\n",
    "twice": lambda content, generator: content + content,
}


def _changed(content: bytes, generator: np.random.Generator, count: int) -> bytes:
    changed = np.frombuffer(content, np.uint8).copy()
    changed[generator.integers(0, len(changed), count)] = generator.integers(0, 256, count)
    return changed.tobytes()


def _damaged(generator: np.random.Generator) -> Case:
    how = str(generator.choice(list(DAMAGE)))
    if generator.integers(4) == 0:
        suffix = str(generator.choice(["npy", "npz"]))
        images = _levels(generator, (3, 8, 8, 1))
        save = lambda path: (np.save if path.suffix == ".npy" else np.savez)(path, images)  # noqa: E731
        words = suffix
    else:
        suffix, save, _, words = _file(generator)
    later = np.random.default_rng(generator.integers(2**32))
    named = suffix if generator.integers(4) else str(generator.choice(["png", "jpg", "tif", "npy", "webp", "PNG"]))

    def source(folder: Path) -> Any:
        path = folder / f"made.{suffix}"
        save(path)
        content = DAMAGE[how](path.read_bytes(), later)
        path.unlink()
        (folder / f"damaged.{named}").write_bytes(content)
        return folder / f"damaged.{named}"

    return Case(f"{words}, {how}, named .{named}", source, None, damaged=True)


NO_IMAGES: dict[str, Callable[[np.ndarray], Any]] = {
    "int8": lambda images: images.astype(np.int8),
    "int32": lambda images: images.astype(np.int32),
    "uint16": lambda images: images.astype(np.uint16),
    "bool": lambda images: images > 100,
    "complex": lambda images: images.astype(np.complex64),
    "objects": lambda images: images.astype(object),
    "text": lambda images: images.astype(str),
    "floats of 0..255": lambda images: np.maximum(images, 2).astype(np.float32),
    "floats of -1..1": lambda images: images / 127.5 - 1.5,
    "a NaN": lambda images: np.where(np.arange(images.size).reshape(images.shape) == 3, np.nan, 0.5),
    "infinite": lambda images: np.full(images.shape, np.inf, np.float16),
    "just above 1": lambda images: np.full(images.shape, 1.001),
    "beyond float32": lambda images: np.full(images.shape, 1e300),
    "two channels": lambda images: images[..., :1].repeat(2, axis=-1),
    "four channels": lambda images: images[..., :1].repeat(4, axis=-1),
    "no channels axis": lambda images: images[..., 0],
    "channels first": lambda images: np.moveaxis(images[..., :1].repeat(3, axis=-1), -1, 1),
    "rank 5": lambda images: images[None],
    "rank 1": lambda images: images.ravel(),
    "none": lambda images: images[:0],
    "no pixels": lambda images: images[:, :0],
    "masked": lambda images: np.ma.masked_less(images, 300),
}
WRAPPED: dict[str, Callable[[Any], Any]] = {
    "array": lambda images: images,
    "generator": lambda images: iter([images]),
    "list": lambda images: [images, images],
    "labelled": lambda images: iter([(images, np.zeros(3))]),
    "dictionary": lambda images: {"images": images},
}
OTHERS: dict[str, Any] = {
    "None": None,
    "a number": 3.5,
    "bytes": b"images",
    "an empty list": [],
    "a list of nothing": [None, None],
    "ragged": [[[1, 2], [3]]],
    "a path that is not there": "no/such/folder",
    "a set of words": {"digits", "mnist"},
    "a dictionary": {"x": np.zeros((1, 8, 8, 1))},
}


def _no_images(generator: np.random.Generator) -> Case:
    if generator.integers(5) == 0:
        name = str(generator.choice(list(OTHERS)))
        return Case(name, lambda folder: OTHERS[name], None)
    size = SIZES[1 + generator.integers(len(SIZES) - 1)]
    if min(size) in (1, 3):  # where a wrong layout may be a right one of other images
        size = (8, 8)
    images = generator.integers(0, 256, (2, *size, 1), dtype=np.uint8)
    name, wrapping = (str(generator.choice(list(names))) for names in (NO_IMAGES, WRAPPED))
    return Case(f"{name} {images.shape}, {wrapping}", lambda folder: WRAPPED[wrapping](NO_IMAGES[name](images)), None)


def run(detectors: list[Any], seed: int, numbers: Iterator[int], folder: Path) -> Iterator[tuple[int, Case, str | None]]:
    """Yield number, case and problem of each, with what `folder` holds of it."""
    for number in numbers:
        given, place = case(seed, number), folder / str(number)
        place.mkdir()
        setting = list(SETTINGS)[number % 7] if number % 7 < len(SETTINGS) else None
        found = problem(detectors[number % len(detectors)], given, place, setting)
        yield number, replace(given, words=f"{given.words}{f', under {setting}' if setting else ''}"), found
