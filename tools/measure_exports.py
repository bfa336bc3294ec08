"""Size, rate and AUROC of exports in reduced precision, beside those in float32.

Each preset that is named is exported in every format and precision, calibrated on the images that its recipe held
out, and run by the format's own runtime: on test images, and on those of the real OOD set that its card says is hardest.
Writes `exports.csv`, from which cards have a table; presets that it has are not measured again. `--report PAGE` puts the table
of the file into a page of the documentation and measures nothing.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from table_file import begun, marks

from keras_ood import datasets
from keras_ood.cards.exports import table
from keras_ood.evaluation.metrics import detection_metrics
from keras_ood.export.formats import FORMATS, Runtime
from keras_ood.export.measured import MeasuredExport
from keras_ood.hub import handles, preset
from keras_ood.loading import from_pretrained
from keras_ood.models import Detector
from keras_ood.recipes.recipe import Recipe
from keras_ood.tables.records import typed_rows, write_records

IMAGES = 1_000  # of either test split at most
CALIBRATION = 1_000  # held-out images at most
ROUNDS, BATCH = 7, 64  # of the rates: of alternating rounds the fastest counts


def main() -> None:
    """Measure and write the table, or report it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="*", default=[], help="zoo names")
    parser.add_argument("--formats", nargs="+", choices=list(FORMATS), default=["onnx", "openvino", "litert"])
    arguments, path, rows = begun(parser, "exports.csv", marks(__file__), report)
    for name in arguments.presets:
        for format in arguments.formats:
            if (name, format) not in {(row["preset"], row["format"]) for row in rows}:
                rows += [rounded(asdict(row)) for row in measure(name, format)]
                write_records(path, rows)
                print(f"{name}, {format}", flush=True)


def report(rows: Sequence[Mapping[str, str]]) -> str:
    """Return the table."""
    return f"\n\n{table(typed_rows(rows, MeasuredExport))}\n\n"


def measure(name: str, format: str, images: int = IMAGES) -> list[MeasuredExport]:
    """Return the rows of a preset in one format, in every precision of it; exports take images of any size."""
    recipe, detector = Recipe.read(handles.resolve(name) / "recipe.toml"), from_pretrained(name)
    hardest = hardest_of(preset.read(handles.resolve(name))["auroc"])
    inside, outside = some(recipe.dataset, images), some(hardest, images)
    held_out = coloured(recipe.training_split()[1][:CALIBRATION])
    expected = detector.score(inside, progress=False)
    with tempfile.TemporaryDirectory() as folder:
        made = {each: exported(detector, format, each, held_out, Path(folder, each)) for each in FORMATS[format].policies}
        rates = rates_of({each: found[1] for each, found in made.items() if found is not None}, inside[:BATCH])
        rows = []
        for each, found in made.items():
            known: dict[str, Any] = {
                "preset": name,
                "format": format,
                "precision": each,
                "out_of_distribution": hardest,
                "images": min(len(inside), len(outside)),
            }
            numbers: dict[str, Any] = dict.fromkeys(("bytes", "relative_rate", "auroc", "agreement"))
            if found is not None:
                scores = [scored(found[1], part) for part in (inside, outside)]
                numbers = {
                    "bytes": found[0],
                    "relative_rate": rates[each] / rates["float32"],
                    "auroc": detection_metrics(*scores)["auroc"],
                    "agreement": float(spearmanr(scores[0], expected).statistic),
                }
            rows.append(MeasuredExport(**known, **numbers))
    return rows


def exported(detector: Detector, format: str, precision: str, held_out: np.ndarray, folder: Path) -> tuple[int, Runtime] | None:
    """Return the size of an export in bytes and what runs it, or None where it is refused."""
    folder.mkdir()
    calibration = None if precision == "float32" else held_out
    try:
        path = detector.export(
            folder / f"model{FORMATS[format].suffix}",
            format,
            image_shape=(None, None, 3),
            precision=precision,
            calibration=calibration,
        )
    except RuntimeError as error:
        print(f"{format}, {precision}: {error}", flush=True)
        return None
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()), FORMATS[format].load(path)


def hardest_of(measured: Mapping[str, float]) -> str:
    """Return the real OOD set with the lowest AUROC."""
    real = {name: value for name, value in measured.items() if name not in datasets.GENERATED and name in datasets.DATASETS}
    return min(real, key=lambda name: real[name])


def some(name: str, count: int) -> np.ndarray:
    """Return some test images of a data set, always the same."""
    images = datasets.load(name, "test")[0]
    return coloured(images[np.random.default_rng(0).permutation(len(images))[:count]])


def coloured(images: np.ndarray) -> np.ndarray:
    """Return images with three channels."""
    return np.ascontiguousarray(np.broadcast_to(images, (*images.shape[:3], 3)))


def scored(run: Runtime, images: np.ndarray) -> np.ndarray:
    """Return what a runtime scores images with."""
    return np.concatenate([run(images[start : start + BATCH], 0.05)["score"] for start in range(0, len(images), BATCH)])


def rates_of(runs: Mapping[str, Runtime], images: np.ndarray) -> dict[str, float]:
    """Return images a second of several runtimes: the fastest of rounds that alternate, after one to warm up."""
    fastest = dict.fromkeys(runs, np.inf)
    for round in range(ROUNDS + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run(images, 0.05)
            if round:
                fastest[name] = min(fastest[name], time.perf_counter() - start)
    return {name: len(images) / seconds for name, seconds in fastest.items()}


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row whose numbers have four decimals."""
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}


if __name__ == "__main__":
    main()
