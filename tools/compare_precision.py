"""What bfloat16 does to the scores of the zoo's presets, and which of them `dtype="auto"` lets compute in it.

Writes `precision.csv`, a row for each preset: how far the golden scores move, as a part of the largest one; how far the default
score of in-distribution test images moves, in standard deviations of the calibration scores; and the AUROC in float32 against
another data set, with what bfloat16 adds to it, the set where that is most. `--report PAGE` puts the table into a page of the
documentation and measures nothing.
"""

import argparse
from typing import Any

import numpy as np
from table_file import begun, marks

import keras_ood
from keras_ood import datasets
from keras_ood.evaluation.metrics import detection_metrics
from keras_ood.hub import handles, preset
from keras_ood.hub.serialization import golden_scores
from keras_ood.loading import AUTO_TOLERANCE
from keras_ood.tables.markdown import markdown_table
from keras_ood.tables.records import write_records

OTHERS = {
    "cifar10": ("cifar100", "gtsrb"),
    "gtsrb": ("cifar10", "mnist"),
    "mnist": ("fashion_mnist", "cifar10"),
    "fashion_mnist": ("mnist", "cifar10"),
    "digits": ("mnist", "fashion_mnist"),
}
"""Other data sets, by a preset's own; a preset of another one has no AUROC here."""

IMAGES = 1_000  # of each set


def main() -> None:
    """Measure and write the table, or put it into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    _, table, _ = begun(parser, "precision.csv", marks(__file__), report)
    rows = []
    for name in keras_ood.list_models():
        rows.append(measured(name))
        print(rows[-1], flush=True)
    write_records(table, rows)


def measured(name: str) -> dict[str, Any]:
    """Return the row of a preset."""
    exact = keras_ood.from_pretrained(name)
    fast = exact.inference_copy("mixed_bfloat16")
    golden, moved = golden_scores(exact), golden_scores(fast)
    row = {"preset": name, "golden": float(np.max(np.abs(moved - golden)) / np.max(np.abs(golden)))}
    own = preset.read(handles.resolve(name))["in_distribution"]["name"]
    if own not in OTHERS:
        return row | {"shift": None, "other": None, "auroc": None, "change": None}
    inside = [detector.score(_images(own), progress=False) for detector in (exact, fast)]
    shift = float(np.mean(inside[1] - inside[0]) / np.std(exact.calibration().scores))
    changes: list[dict[str, Any]] = []
    for other in OTHERS[own]:
        outside = [detector.score(_images(other), progress=False) for detector in (exact, fast)]
        before, after = (detection_metrics(*pair)["auroc"] for pair in zip(inside, outside, strict=True))
        changes.append({"shift": shift, "other": other, "auroc": before, "change": after - before})
    return row | max(changes, key=lambda change: abs(change["change"]))


def report(rows: list[dict[str, Any]]) -> str:
    """Return the table of the page."""
    lines = []
    for row in rows:
        told = ["-"] * 3
        if row["other"]:
            told = [f"{float(row['shift']):+.2f}", f"{float(row['auroc']):.4f}, {row['other']}", f"{float(row['change']):+.4f}"]
        golden = float(row["golden"])
        lines.append([row["preset"], f"{100 * golden:.2f} %", *told, "bfloat16" if golden <= AUTO_TOLERANCE else "float32"])
    head = ["preset", "golden scores move by", "in-distribution scores (sd)", "AUROC, float32", "change", '`dtype="auto"`']
    return f"\n\n{markdown_table(head, lines)}\n\n"


def _images(name: str) -> np.ndarray:
    images = datasets.load(name, "test")[0]
    return np.asarray(images[np.random.default_rng(0).permutation(len(images))[:IMAGES]])


if __name__ == "__main__":
    main()
