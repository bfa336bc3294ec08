"""Compare ways to decode photos: the rate at which a folder is embedded, and what DCT scaling of JPEG does to scores.

Writes `decoding.csv` (rates, encoder included) and `decoding-scores.csv` (differences of scores from those of a full decode
followed by `Preprocessing`); rows of the other backend stay. The photos are made from sample pictures of installed packages.
"""

import argparse
import csv
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.resources import files as package
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

import keras_ood
from keras_ood.backend.machine import describe_machine, usable_cores
from keras_ood.encoders import FeatureSpace, FrozenEncoder, embed
from keras_ood.images import ImageFiles
from keras_ood.images.preprocessing import Preprocessing
from keras_ood.images.sources import convert, gather
from keras_ood.tables.records import write_records

PICTURES = {
    "sklearn.datasets.images": ("china.jpg", "flower.jpg"),
    "matplotlib": ("mpl-data/sample_data/grace_hopper.jpg",),
    "gradio": (
        "media_assets/images/cheetah1.jpg",
        "media_assets/images/cheetah.jpg",
        "media_assets/images/tower.jpg",
        "test_data/cheetah2.jpg",
    ),
}
WIDTH, HEIGHT = 1400, 1000
KINDS = ("enlarged", "mirrored")  # a part enlarged; the picture's own pixels, mirrored beyond its edges
PRESETS = ("tilted-vae-cifar10", "tilted-vae-cifar10-pixels")
SHAPES = ((32, 32, 3), (128, 128, 3))  # of a detector; the encoder's is the latter
SIDES = (96, 128, 224)  # of an encoder
SCALES = (2, 4, 8)
TURNS, TIMES = 2, 5

Scores = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Make the photos, measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=280, help="of one size; a quarter as many of mixed sizes")
    parser.add_argument("--out", type=Path, default=Path("benchmark"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        same = save_photos(Path(folder) / "same", arguments.photos, mixed=False)
        mixed = save_photos(Path(folder) / "mixed", arguments.photos // 4, mixed=True)
        rates = [row for name, paths in (("one size", same), ("mixed sizes", mixed)) for row in measure_rates(name, paths)]
        write_beside(arguments.out / "decoding.csv", rates)
        write_beside(arguments.out / "decoding-scores.csv", measure_scores(same))


def save_photos(folder: Path, count: int, mixed: bool) -> list[Path]:
    """Save JPEG files, quality 90, 4:2:0, of 1400x1000 pixels or of up to a third less; returns them, kinds in turn."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    pictures = [Image.open(str(package(name) / file)).convert("RGB") for name, found in PICTURES.items() for file in found]
    paths = []
    for number in range(count):
        picture = pictures[number // len(KINDS) % len(pictures)]
        photo = (enlarged, mirrored)[number % len(KINDS)](picture, generator)
        if mixed:
            width, height = (int(generator.uniform(2 / 3, 1) * side) for side in photo.size)
            photo = photo.crop((0, 0, width, height))
        paths.append(folder / f"{number:04}.jpg")
        photo.save(paths[-1], quality=90, subsampling="4:2:0")
    return paths


def enlarged(picture: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Return a random part of a picture, 0.4 to 1 of its size."""
    width = min(picture.width, picture.height * WIDTH / HEIGHT) * generator.uniform(0.4, 1)
    height = width * HEIGHT / WIDTH
    left, top = generator.uniform(0, picture.width - width), generator.uniform(0, picture.height - height)
    return picture.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))


def mirrored(picture: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Return a picture from a random place on, with all its detail."""
    top, left = generator.integers(0, picture.height), generator.integers(0, picture.width)
    pixels = np.pad(np.asarray(picture), ((0, 2 * HEIGHT), (0, 2 * WIDTH), (0, 0)), "symmetric")
    return Image.fromarray(pixels[top : top + HEIGHT, left : left + WIDTH])


def measure_rates(name: str, paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Yield a row for each way to go through a folder, the best of some turns; each photo is read several times in a turn."""
    paths = [*paths] * TIMES
    files = ImageFiles(paths)
    plain, milliseconds = rate(partial(load, paths), len(paths))
    known = {"photos": name, "count": len(paths), "cores": usable_cores(), "machine": describe_machine()}
    row = {"way": "full decode alone, one thread", "shape": "", "images_per_second": plain, "of_plain": 1.0}
    yield known | row | {"processor_ms_an_image": milliseconds}
    encoder = FrozenEncoder("efficientnet-lite0")
    for shape in SHAPES:
        for way, source in (("full decode and Preprocessing, one by one", iter), ("ImageFiles", lambda found: found)):
            measured, milliseconds = rate(partial(embed_anew, files, source, encoder, shape), len(paths))
            row = {"way": f"{way}, and encoder", "shape": "x".join(map(str, shape)), "images_per_second": measured}
            yield known | row | {"of_plain": round(measured / plain, 3), "processor_ms_an_image": milliseconds}


def load(paths: Sequence[Path]) -> None:
    """Decode files and nothing else."""
    for path in paths:
        with Image.open(path) as image:
            image.load()


def embed_anew(files: ImageFiles, source: Callable[[ImageFiles], Any], encoder: FrozenEncoder, shape: Any) -> None:
    """Embed where nothing is on disk."""
    with tempfile.TemporaryDirectory() as folder:
        embed(source(files), encoder, shape, folder, progress=False)


def rate(work: Callable[[], Any], count: int) -> tuple[float, float]:
    """Return images a second of the best turn, and its milliseconds of processor time an image, all cores together."""
    turns = []
    for _ in range(TURNS):
        start, used = time.perf_counter(), time.process_time()
        work()
        turns.append((time.perf_counter() - start, time.process_time() - used))
    seconds, used = min(turns)
    return round(count / seconds, 1), round(1000 * used / count, 2)


def measure_scores(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return a row for each score, way to decode and kind of photo; a feature space is fitted on the first half."""
    rows = []
    for preset in PRESETS:
        detector = keras_ood.from_pretrained(preset)
        size = detector.preprocessing.image_shape[:2]
        spread = float(np.std(detector.calibration().scores))
        rows += compare(f"{preset} {detector.default_score}", paths, size, detector.score, spread)
    half = len(paths) // 2 // len(KINDS) * len(KINDS)
    for side in SIDES:
        scores = fitted_space(side, paths[:half])
        rows += compare(f"mahalanobis, encoder of {side}x{side}", paths[half:], (side, side), scores, None)
    return rows


def fitted_space(side: int, paths: Sequence[Path]) -> Scores:
    """Return the function from images to the distances of a feature space that was fitted on fully decoded photos."""
    encoder = FrozenEncoder("efficientnet-lite0", (side, side, 3))
    space = FeatureSpace(encoder, memory=10)
    images = decoded(paths, (side, side), 1)
    with tempfile.TemporaryDirectory() as folder:
        space.fit(embed(images, encoder, folder=folder, dtype="float32"))

    def scores(images: np.ndarray) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            features = embed(images, encoder, folder=folder, dtype="float32").values()
        return np.asarray(keras.ops.convert_to_numpy(space.statistics(space(features))["mahalanobis"]))

    return scores


def compare(
    name: str, paths: Sequence[Path], size: tuple[int, int], scores: Scores, spread: float | None
) -> list[dict[str, Any]]:
    """Return rows of differences of scores, as shares of their spread: that of in-distribution images, None for the photos'."""
    full = np.asarray(scores(decoded(paths, size, 1)))
    spread = float(np.std(full)) if spread is None else spread
    ways: dict[str, Callable[[], np.ndarray]] = {"ImageFiles": partial(gather, ImageFiles(paths), Preprocessing((*size, 3)))}
    ways |= {f"DCT 1/{scale}": partial(decoded, paths, size, scale) for scale in SCALES}
    rows = []
    for way, images in ways.items():
        differences = np.abs(np.asarray(scores(images())) - full) / spread
        for place, kind in enumerate(KINDS):
            part = differences[place :: len(KINDS)]
            margin = min(WIDTH / size[1], HEIGHT / size[0]) / (int(way[-1]) if "/" in way else 1)
            row = {"score": name, "way": way, "margin": round(margin, 2), "photos": kind, "count": len(part)}
            row |= {"largest": f"{part.max():.2e}", "rms": f"{np.sqrt(np.mean(part**2)):.2e}", "machine": describe_machine()}
            rows.append(row)
            print(row, flush=True)
    return rows


def decoded(paths: Sequence[Path], size: tuple[int, int], scale: int) -> np.ndarray:
    """Return photos decoded one by one, at a part of their size where `scale` says so, and resized by `Preprocessing`."""

    def photos() -> Iterator[np.ndarray]:
        for path in paths:
            with Image.open(path) as image:
                image.draft(None, (image.width // scale, image.height // scale))
                yield np.asarray(image)

    return np.concatenate(list(convert(photos(), Preprocessing((*size, 3)))))


def write_beside(path: Path, rows: Any) -> None:
    """Write rows beside those that another backend has in the file."""
    backend = f", {keras.backend.backend()} "
    others = []
    if path.exists():
        with path.open(newline="") as file:
            others = [row for row in csv.DictReader(file) if backend not in row["machine"]]
    write_records(path, sorted([*others, *rows], key=lambda row: backend not in row["machine"]))


if __name__ == "__main__":
    main()
