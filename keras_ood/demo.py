"""`keras-ood demo`: a pretrained detector at work on the data at hand."""

import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import keras_ood
from keras_ood import datasets, plots
from keras_ood.evaluation import CONVENTION, evaluate, named_images
from keras_ood.hub import handles, preset
from keras_ood.models import TiltedVAE
from keras_ood.pictures import FPR, save_figures, save_report

SHOWN = 16  # images in a row of the pictures


def run(model: str, folder: Path, console: Console) -> None:
    """Score the preset's test split and every OOD set at hand; print verdicts, write pictures to `folder`.

    Sets that would have to be downloaded are left out, and named.
    """
    start = time.monotonic()
    detector = keras_ood.from_pretrained(model)
    content = preset.read(handles.resolve(model))
    name = content["in_distribution"]["name"]
    at_hand = [
        out for out in content["auroc"] if out in datasets.SYNTHETIC or out == "digits" or datasets.local_file(out, "test")
    ]
    inside = named_images(name)
    report = evaluate(detector, inside, dict.fromkeys(at_hand), [detector.default_score])
    aurocs = {row.out_of_distribution: row.auroc.value for row in report.rows}

    table = Table("images", "number", "mean p-value", f"flagged at FPR {FPR:g}", "AUROC", title=f"{model}: verdicts")
    for out, statistics in report.statistics.items():
        scores = detector.score_statistics(statistics)
        p_values = detector.calibration().p_values(scores)
        is_inside = out == "in_distribution"
        title = f"{name} test (in-distribution)" if is_inside else out
        table.add_row(
            title,
            str(len(scores)),
            f"{np.mean(p_values):.3f}",
            f"{np.mean(p_values <= FPR):.1%}",
            "" if is_inside else f"{aurocs[out]:.4f}",
        )
    console.print(table)
    console.print(CONVENTION, style="dim")
    left_out = sorted(set(content["auroc"]) - set(at_hand))
    if left_out:
        console.print(
            f"Not at hand, left out: {', '.join(left_out)} (set KERAS_OOD_DATA to a folder that has them).", style="dim"
        )

    paths = save_report(detector, report, None, folder)
    paths += _save_images(detector, inside, at_hand, folder)
    for path in paths:
        console.print(f"wrote {path}")
    console.print(f"Done in {time.monotonic() - start:.0f} s. Next: keras-ood score {model} YOUR_IMAGES/")


def _save_images(detector: keras_ood.Detector, inside: np.ndarray, at_hand: list[str], folder: Path) -> list[Path]:
    mixed = [inside[: 4 * SHOWN]] + [named_images(out, inside)[:SHOWN] for out in at_hand]
    images = np.concatenate([np.asarray(detector.preprocessing(part)) for part in mixed])
    figures = {"extremes.png": plots.extremes(images, detector.score(images), SHOWN)}
    if isinstance(detector, TiltedVAE):
        chosen = np.linspace(0, len(images) - 1, SHOWN).astype(int)
        originals, reconstructed = detector.reconstruct(images[chosen])
        figures["reconstructions.png"] = plots.reconstructions(originals, reconstructed, detector.score(originals))
        figures["samples.png"] = plots.gallery({"samples": detector.sample(2 * SHOWN)})
    return save_figures(figures, folder)
