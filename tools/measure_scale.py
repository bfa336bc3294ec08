"""How many images a second go through each stage, one process, and a local cluster of two nodes of one core each.

JPEG files are made of scikit-learn's two sample photographs, pieces of random place and size with some noise: as pictures of a
page (about 20 kB) and as photos (12 megapixels, about 2 MB). `decode` and `score` are timed by the processor time of one
process, `one process` and `two nodes` by the clock, on the same files, everything loaded and compiled: the cluster from the
first block that it has written to the last, its `start` until then. Writes `scale.csv`; cases that it has are not measured
again. `--report PAGE` puts its figures, and what follows from them for a billion images, into a page of the documentation and
measures nothing.

Needs the extra `ray`.
"""

import argparse
import os
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray
from PIL import Image
from pyarrow.parquet import read_metadata
from ray.cluster_utils import Cluster
from scale_tables import OVER_ENCODER, PHOTO, PICTURE, PIXELS, report
from sklearn.datasets import load_sample_images
from table_file import begun, marks

from keras_ood.backend.machine import describe_machine
from keras_ood.images import Decoding, ImageFiles
from keras_ood.images.resize_on_host import resize_on_host
from keras_ood.loading import from_pretrained
from keras_ood.models import Detector
from keras_ood.ray import score_files
from keras_ood.tables.records import write_records

Measured = tuple[str, int, float]  # stage, images, seconds

KINDS = {PICTURE: ((256, 341), 82), PHOTO: ((3000, 4000), 91)}
"""Height and width, and quality, of the files of each kind."""
CASES = {(PICTURE, PIXELS): 8_000, (PICTURE, OVER_ENCODER): 2_000, (PHOTO, OVER_ENCODER): 120}
"""Number of files of a kind for a preset."""
DISTINCT = 24  # the others are links to these
FEW = 16  # images that are decoded before a clock runs
MOST_DECODED = 2_000
BLOCKS = 16  # at least; a task gives out its images when all are decoded, and the clock runs from the first block on
LOADED_IN = 600  # seconds that a cluster waits for its actors before it reads: nothing is decoded meanwhile
SCORED = {PIXELS: 8_192, OVER_ENCODER: 1_024}  # images in memory
MARKS = marks(__file__)


def main() -> None:
    """Measure and write the table, or report it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the images, for a trial")
    arguments, table, rows = begun(parser, "scale.csv", MARKS, report)
    measured_before = {(row["files"], row["preset"]) for row in rows}
    for (kind, preset), count in CASES.items():
        if (kind, preset) in measured_before:
            continue
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "photographs"
            files = photographs(folder, *KINDS[kind], max(2 * FEW, int(arguments.share * count)))
            known = {"files": kind, "bytes": round(np.mean([file.stat().st_size for file in files])), "preset": preset}
            for stage, images, seconds in measured(folder, files, preset):
                row = known | {"stage": stage, "images": images, "seconds": round(seconds, 2), "machine": describe_machine()}
                rows.append(row)
                print(row, flush=True)
        write_records(table, rows)


def photographs(folder: Path, size: tuple[int, int], quality: int, count: int) -> list[Path]:
    """Write JPEG files and return their paths."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    files = [folder / f"{number:06}.jpg" for number in range(count)]
    for number, file in enumerate(files):
        if number >= DISTINCT:
            os.link(files[number % DISTINCT], file)
            continue
        photo = photos[number % len(photos)]
        width = int(rng.integers(200, 560))
        height = width * 3 // 4
        left, top = int(rng.integers(photo.width - width)), int(rng.integers(photo.height - height))
        piece = photo.resize(size[::-1], box=(left, top, left + width, top + height))
        noise = rng.normal(0, 3, np.asarray(piece).shape)
        Image.fromarray(np.clip(np.asarray(piece) + noise, 0, 255).astype(np.uint8)).save(file, quality=quality)
    return files


def measured(folder: Path, files: Sequence[Path], preset: str) -> Iterator[Measured]:
    """Yield what was measured of files of a kind."""
    detector = from_pretrained(preset)
    batch_size = min(256, len(files) // BLOCKS)
    images = decoded(files[:FEW], detector)
    start = time.process_time()
    decoded(files[:MOST_DECODED], detector)
    yield "decode", len(files[:MOST_DECODED]), time.process_time() - start
    enough = np.concatenate([images] * (SCORED[preset] // len(images)))
    exhaust(detector, enough)
    start = time.process_time()
    exhaust(detector, enough)
    yield "score", len(enough), time.process_time() - start
    start = time.monotonic()
    exhaust(detector, ImageFiles(folder), batch_size)
    yield "one process", len(files), time.monotonic() - start
    yield from on_two_nodes(folder, preset, len(files) // batch_size, batch_size)


def decoded(files: Sequence[Path], detector: Detector) -> np.ndarray:
    """Return files as tasks of the cluster decode them, the last ones: so many as are looked at first."""
    size, aspect = detector.image_shape[:2], detector.preprocessing.aspect
    images = (resize_on_host(Decoding().image(file), size, aspect) for file in files)
    return np.stack(deque(images, maxlen=FEW))


def exhaust(detector: Detector, images: Any, batch_size: int = 256) -> None:
    """Score images and keep nothing."""
    deque(detector.iterate_p_values(images, batch_size=batch_size, progress=False), maxlen=0)


def on_two_nodes(folder: Path, preset: str, blocks: int, batch_size: int) -> Iterator[Measured]:
    """Yield what a cluster takes to its first block, and from there to its last."""
    cluster = Cluster()
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    ray.data.DataContext.get_current().wait_for_min_actors_s = LOADED_IN
    try:
        with tempfile.TemporaryDirectory() as out:
            begin = time.time()
            score_files(str(folder), preset, out, blocks=blocks, batch_size=batch_size)
            written = sorted((file.stat().st_mtime, read_metadata(file).num_rows) for file in Path(out).glob("*.parquet"))
    finally:
        ray.shutdown()
        cluster.shutdown()  # type: ignore[no-untyped-call]
    (first, few), (last, _) = written[0], written[-1]
    yield "start", few, first - begin
    yield "two nodes", sum(rows for _, rows in written[1:]), last - first


if __name__ == "__main__":
    main()
