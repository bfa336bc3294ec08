"""`keras-ood demo`: a pretrained detector at work on the data at hand."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

import keras_ood
from keras_ood import datasets, plots
from keras_ood.calibration import NOMINAL_FPR
from keras_ood.cli.computing import load
from keras_ood.cli.console import in_distribution, locate
from keras_ood.datasets.named import named_images
from keras_ood.evaluation.evaluate import evaluate
from keras_ood.evaluation.pictures import save_figures, save_report
from keras_ood.hub import preset
from keras_ood.images import ImageFiles
from keras_ood.images.sources import gather
from keras_ood.tables.records import CONVENTION
from keras_ood.terminal.printable import printable

SHOWN = 16  # images in a row of the pictures
LANDMARKS = "landmarks-detector"


def run(model: str, folder: Path) -> dict[str, Any]:
    """Score the preset's test split and every OOD set at hand; write pictures to `folder`, return verdicts as plain data.

    Sets that would have to be downloaded are left out, and named.
    """
    start = time.monotonic()
    detector = load(model)
    preset_folder = locate(model)
    content, name = preset.read(preset_folder), in_distribution(preset_folder)
    at_hand = [
        out for out in content["auroc"] if out in datasets.SYNTHETIC or out == "digits" or datasets.local_file(out, "test")
    ]
    inside = named_images(name)
    judged = _judge(detector, inside, {out: named_images(out, inside) for out in at_hand}, f"{name} test", folder)
    left_out = sorted(set(content["auroc"]) - set(at_hand))
    return {"preset": model} | judged | {"left_out": left_out, "seconds": round(time.monotonic() - start, 1)}


def run_on_photographs(folder: Path) -> dict[str, Any]:
    """Make a detector of sample photographs of landmarks and judge others by it; results as of `run`.

    The preset is kept in `folder`, where a second run finds it.
    """
    from keras_ood.training.finetune import ENCODER, finetune

    start = time.monotonic()
    samples = datasets.photographs()
    landmarks = sorted((samples / "landmarks").rglob("*.webp"))
    strange = {part.name: ImageFiles(part) for part in sorted(samples.iterdir()) if part.is_dir() and part.name != "landmarks"}
    made = folder / LANDMARKS
    if made.exists():
        detector = keras_ood.from_pretrained(made)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        known = ImageFiles([path for number, path in enumerate(landmarks) if number % 4])
        detector = finetune(
            ENCODER, known, made, title="landmarks", licence="GPL-3+, CC", out_of_distribution=strange, verbose=0
        )
    judged = _judge(detector, ImageFiles(landmarks[::4]), strange, "new landmarks", folder)
    return {"preset": str(made)} | judged | {"left_out": [], "seconds": round(time.monotonic() - start, 1)}


def _judge(detector: keras_ood.Detector, inside: Any, sets: dict[str, Any], title: str, folder: Path) -> dict[str, Any]:
    report = evaluate(detector, inside, sets, [detector.default_score], **detector.passes()._asdict())
    aurocs = {row.out_of_distribution: row.auroc.value for row in report.rows}
    verdicts = []
    for out, statistics in report.statistics.items():
        p_values = detector.calibration().p_values(detector.score_statistics(statistics))
        verdicts.append(
            {
                "images": f"{title} (in-distribution)" if out == "in_distribution" else out,
                "number": len(p_values),
                "mean_p_value": float(np.mean(p_values)),
                "flagged": float(np.mean(p_values <= NOMINAL_FPR)),
                "auroc": aurocs.get(out),
            }
        )
    files = save_report(detector, report, None, folder) + _save_images(detector, inside, sets, folder)
    return {"fpr": NOMINAL_FPR, "verdicts": verdicts, "files": [str(path) for path in files]}


def render(result: dict[str, Any]) -> Group:
    """Return what `run` gave as people read it."""
    title = escape(f"{result['preset']}: verdicts")
    table = Table("images", "number", "mean p-value", f"flagged at FPR {result['fpr']:g}", "AUROC", title=title)
    for verdict in result["verdicts"]:
        auroc = "" if verdict["auroc"] is None else f"{verdict['auroc']:.4f}"
        cells = (str(verdict["number"]), f"{verdict['mean_p_value']:.3f}", f"{verdict['flagged']:.1%}", auroc)
        table.add_row(escape(printable(verdict["images"])), *cells)
    lines = [Text(CONVENTION, style="dim")]
    if result["left_out"]:
        left_out = f"Not at hand, left out: {', '.join(result['left_out'])} (set KERAS_OOD_DATA to a folder that has them)."
        lines.append(Text(printable(left_out), style="dim"))
    lines += [Text(f"wrote {file}") for file in result["files"]]
    return Group(table, *lines, Text(f"Done in {result['seconds']:.0f} s."))


def _save_images(detector: keras_ood.Detector, inside: Any, sets: dict[str, Any], folder: Path) -> list[Path]:
    images = np.concatenate([_first(inside, 4 * SHOWN, detector), *(_first(part, SHOWN, detector) for part in sets.values())])
    figures = {"extremes.png": plots.extremes(images, detector.score(images), SHOWN)}
    drawn = detector.reconstruct(images[np.linspace(0, len(images) - 1, SHOWN).astype(int)])
    if drawn is not None:
        originals, reconstructed = drawn
        figures["reconstructions.png"] = plots.error_maps(originals, reconstructed, detector.score(originals))
        figures["samples.png"] = plots.gallery({"samples": detector.sample(2 * SHOWN)})
    return save_figures(figures, folder)


def _first(images: Any, count: int, detector: keras_ood.Detector) -> np.ndarray:
    """The first images of an array or of files, as the detector sees them."""
    return gather(
        ImageFiles(images.paths[:count]) if isinstance(images, ImageFiles) else images[:count], detector.preprocessing
    )
