"""Compare fine-tuning with training from scratch on 1,000 images, at equal budget.

Both starts get the same images, epochs, batches, seeds and learning rates. The learning rate of each start is the one with the
better loss on held-out in-distribution images, averaged over the seeds; OOD images are looked at afterwards. Writes
`finetuning.csv` (a row an epoch), `finetuning-auroc.csv` and `finetuning.png`; a killed run goes on where it was.
"""

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_ood
from keras_ood import datasets, plots
from keras_ood.evaluation.evaluate import evaluate
from keras_ood.images.sources import gather
from keras_ood.models import Detector, transfer
from keras_ood.tables.records import write_records
from keras_ood.training.resumable import train
from keras_ood.training.settings import Settings
from keras_ood.training.split import Split

PAIRS = {  # source preset, new in-distribution set: sets to tell from it, the source's own among them
    ("tilted-vae-fashion-mnist-pixels", "mnist"): ("fashion_mnist", "blurred"),
    ("tilted-vae-cifar10-pixels", "gtsrb"): ("cifar10", "blurred"),
}
STARTS = ("fine-tuned", "from scratch")
LEARNING_RATES = (3e-3, 1e-3, 3e-4)
IMAGES, HELD_OUT, TESTED = 1_000, 500, 2_000


def main() -> None:
    """Train, measure, and write the tables and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs/finetuning"))
    parser.add_argument("--out", type=Path, default=Path("benchmark"))
    arguments = parser.parse_args()
    curves: list[dict[str, Any]] = []
    measured: list[dict[str, Any]] = []
    for (source, inside), outside in PAIRS.items():
        for start in STARTS:
            runs = [
                run(source, inside, start, rate, seed, arguments.epochs, arguments.runs)
                for rate in LEARNING_RATES
                for seed in range(arguments.seeds)
            ]
            curves += [row for _, rows in runs for row in rows]
            chosen = choose([rows for _, rows in runs])
            for detector, rows in runs:
                if rows[0]["learning_rate"] == chosen:
                    measured += measure(detector, rows, outside)
    write_records(arguments.out / "finetuning.csv", curves)
    write_records(arguments.out / "finetuning-auroc.csv", measured)
    plots.loss_curves(held_out_losses(curves, measured)).savefig(arguments.out / "finetuning.png")
    for row in measured:
        print(row)


def run(
    source: str, inside: str, start: str, rate: float, seed: int, epochs: int, runs: Path
) -> tuple[Detector, list[dict[str, Any]]]:
    """Return a trained, calibrated detector and a row for each epoch; what `runs` has already is not trained again."""
    detector = transfer(keras_ood.from_pretrained(source)).detector
    keras.utils.set_random_seed(seed)
    if start == "from scratch":
        detector = detector.remade()
    split = cut(detector, inside, seed)
    settings = Settings(epochs=epochs, patience=epochs, learning_rate=rate, seed=seed)
    state = runs / f"{source}-{inside}-{start.replace(' ', '-')}-{rate:g}-{seed}"
    trained, log = train(detector, split, settings, state, verbose=0)
    trained.calibrate(split.calibration)
    known = {"source": source, "in_distribution": inside, "start": start, "learning_rate": rate, "seed": seed}
    rows = [known | {"epoch": int(row["epoch"]), "loss": row["loss"], "held_out_loss": row["val_loss"]} for row in log.rows]
    print(state.name, rows[-1], flush=True)
    return trained, rows


def cut(detector: Detector, inside: str, seed: int) -> Split:
    """Return 1,000 images to train on and 500 others for each held-out part, of the training split."""
    images = datasets.load(inside, "train")[0]
    order = np.random.default_rng(seed).permutation(len(images))[: IMAGES + 2 * HELD_OUT]
    prepared = gather(images[order], detector.preprocessing)
    training, validation, calibration = np.split(prepared, [IMAGES, IMAGES + HELD_OUT])
    return Split(training, validation, calibration, test=prepared[:0], duplicates=0)


def choose(runs: list[list[dict[str, Any]]]) -> float:
    """Return the learning rate with the lowest mean of the best held-out losses."""
    best: dict[float, list[float]] = {}
    for rows in runs:
        best.setdefault(rows[0]["learning_rate"], []).append(min(row["held_out_loss"] for row in rows))
    return min(best, key=lambda rate: float(np.mean(best[rate])))


def measure(detector: Detector, rows: list[dict[str, Any]], outside: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return a row of AUROC for each OOD set, with the weights of the best held-out loss."""
    inside = datasets.load(rows[0]["in_distribution"], "test")[0][:TESTED]
    sets = {
        name: datasets.synthesize(name, inside) if name in datasets.SYNTHETIC else datasets.load(name, "test")[0][:TESTED]
        for name in outside
    }
    report = evaluate(detector, inside, sets, [detector.default_score], resamples=0)
    known = {key: rows[0][key] for key in ("source", "in_distribution", "start", "learning_rate", "seed")}
    best = min(row["held_out_loss"] for row in rows)
    return [known | {"held_out_loss": best, "ood": row.out_of_distribution, "auroc": row.auroc.value} for row in report.rows]


def held_out_losses(curves: list[dict[str, Any]], measured: list[dict[str, Any]]) -> dict[str, dict[str, np.ndarray]]:
    """Return `{pair: {start: (seeds, epochs) losses}}` at the chosen learning rates."""
    chosen = {(row["source"], row["in_distribution"], row["start"]): row["learning_rate"] for row in measured}
    losses: dict[str, dict[str, np.ndarray]] = {}
    for (source, inside, start), rate in chosen.items():
        rows = [
            row
            for row in curves
            if (row["source"], row["in_distribution"], row["start"], row["learning_rate"]) == (source, inside, start, rate)
        ]
        seeds = sorted({row["seed"] for row in rows})
        table = np.array([[row["held_out_loss"] for row in rows if row["seed"] == seed] for seed in seeds])
        losses.setdefault(f"{source} to {inside}", {})[start] = table
    return losses


if __name__ == "__main__":
    main()
