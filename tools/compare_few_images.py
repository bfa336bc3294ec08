"""How good a detector of 30, 100, 300 or 1,000 images is, and how many fresh images it flags.

Images of a data set's training split, drawn by seed, become a detector as `keras_ood.finetune` makes one from an encoder;
its test split and the other sets' are what it is measured on. Writes `few-images.csv`, a row for each draw and OOD set;
draws that it has are not
measured again. `fpr` is of the test split, whose traffic signs are of other tracks; `fpr_of_the_split` of further images of the
split that was drawn from.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_ood import datasets
from keras_ood.encoders import FrozenEncoder
from keras_ood.evaluation.evaluate import evaluate
from keras_ood.images.embeddings import Embeddings
from keras_ood.models import Detector
from keras_ood.tables.records import read_records, write_records
from keras_ood.training.few_images import FewImages
from keras_ood.training.finetune import FEW
from keras_ood.training.resumable import train
from keras_ood.training.settings import Settings
from keras_ood.training.split import Split
from keras_ood.training.start import ENCODER, Start

INSIDE = ("gtsrb", "cifar10")
SETS = ("gtsrb", "cifar10", "fashion_mnist", "mnist")
SIZES = {30: 10, 100: 5, 300: 3, 1_000: 3}  # images: seeds
DRAWN, TESTED = 4_000, 2_000  # images of each training split that are drawn from, of each test split
FPR = 0.1  # thirty images bear no smaller one than 1 / 31


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmark"))
    arguments = parser.parse_args()
    start = Start.of(FrozenEncoder(ENCODER), None, None, None, Settings())
    entrance = start.moved.detector.entrance
    training, outside = (
        {name: entrance.embed(some(name, part, count)) for name in names}
        for part, count, names in (("train", DRAWN, INSIDE), ("test", TESTED, SETS))
    )
    table = arguments.out / "few-images.csv"
    rows: list[dict[str, Any]] = [dict(row) for row in read_records(table)] if table.exists() else []
    done = {(row["in_distribution"], int(row["images"]), int(row["seed"])) for row in rows}
    for inside in INSIDE:
        for images, seeds in SIZES.items():
            for seed in range(seeds):
                if (inside, images, seed) in done:
                    continue
                order = np.random.default_rng(seed).permutation(DRAWN)
                chosen, fresh = (training[inside][places] for places in (order[:images], order[images : images + TESTED]))
                rows += measure(start, chosen, fresh, inside, outside, seed)
                write_records(table, rows)
                print(rows[-1], flush=True)


def some(name: str, part: str, count: int) -> np.ndarray:
    """Return so many images of a split, by a fixed shuffle."""
    images, _ = datasets.load(name, part)
    return images[np.random.default_rng(0).permutation(len(images))[:count]]


def measure(
    start: Start, images: Embeddings, fresh: Embeddings, inside: str, sets: dict[str, Embeddings], seed: int
) -> list[dict[str, Any]]:
    """Return a row for each of the other sets."""
    detector, memory = made(start, images, seed)
    flagged, of_the_split = (
        round(float(np.mean(detector.detect(part, FPR, progress=False))), 4) for part in (sets[inside], fresh)
    )
    known = {"in_distribution": inside, "images": len(images), "seed": seed, "family": type(detector).__name__}
    known |= {"centres": memory, "nominal_fpr": FPR, "fpr": flagged, "fpr_of_the_split": of_the_split}
    others = {name: embeddings for name, embeddings in sets.items() if name != inside}
    report = evaluate(detector, sets[inside], others, [detector.default_score], resamples=0, progress=False)
    return [known | {"ood": row.out_of_distribution, "auroc": round(row.auroc.value, 5)} for row in report.rows]


def made(start: Start, images: Embeddings, seed: int) -> tuple[Detector, int]:
    """Return the detector of these images and the size of its memory."""
    blank = start.moved.detector
    if len(images) < FEW:
        few = FewImages(blank.feature_space.encoder, blank.preprocessing, images, seed)
        return few.detector, few.memory
    keras.utils.set_random_seed(seed)
    split = Split.of(images, seed)
    with tempfile.TemporaryDirectory() as state:
        detector, _ = train(start.over(split.training), split, Settings(seed=seed), Path(state), verbose=0)
    detector.calibrate(split.calibration, progress=False)
    return detector, detector.feature_space.memory


if __name__ == "__main__":
    main()
