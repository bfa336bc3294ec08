"""Our p-values and flags beside nonconform's, of the same scores.

The presets over an encoder score test images of their own and of other data sets; nonconform gets their calibration scores and
these scores. Writes `conformal.csv`, a row for each preset and other set. `--report PAGE` puts the table of the file into a
page of the documentation and runs nothing.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from compare_peers import INSIDE, ROOT, SETS, TESTED, Runner, some
from table_file import begun, marks

import keras_ood
from keras_ood import datasets
from keras_ood.backend.machine import describe_machine
from keras_ood.images.embeddings import Embeddings
from keras_ood.tables.markdown import markdown_table
from keras_ood.tables.records import write_records

PRESETS = tuple(f"tilted-vae-{name.replace('_', '-')}" for name in INSIDE)
FPR, FDR = 0.05, 0.1
MARKS = marks(__file__)


def main() -> None:
    """Measure and write the table, or report it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, default=ROOT / "build" / "peers", help="as of compare_peers.py")
    arguments, table, _ = begun(parser, "conformal.csv", MARKS, report)
    runner = Runner(arguments.environments, "conformal_values.py")
    test = {name: some(name, "test", TESTED)[0] for name in SETS}
    rows = []
    for preset, inside in zip(PRESETS, INSIDE, strict=True):
        detector = keras_ood.from_pretrained(preset)
        for name in SETS:
            if name != inside:
                rows.append(
                    {"preset": preset, "out_of_distribution": name} | compared(detector, test[inside], test[name], runner)
                )
                print(rows[-1], flush=True)
    write_records(table, [row | {"machine": describe_machine()} for row in rows])


def compared(detector: Any, inside: np.ndarray, outside: np.ndarray, runner: Runner) -> dict[str, Any]:
    """Return what both find among in-distribution images and as many others, judged together."""
    parts = [detector.entrance.embed(images) for images in (inside, outside)]
    judged = Embeddings(np.concatenate([part.array for part in parts]), parts[0].encoder)
    scores = {"calibration": detector.calibration().scores, "scores": detector.score(judged, progress=False)}
    theirs, costs = runner.run("nonconform", "nonconform", scores | {"fdr": np.array(FDR)})
    ours = {"p_values": detector.p_values(judged, progress=False), "selected": detector.detect(judged, fdr=FDR, progress=False)}
    is_out = np.arange(len(judged)) >= len(inside)
    row: dict[str, Any] = {"calibrated_with": len(scores["calibration"])}
    row["largest_difference"] = float(f"{np.abs(ours['p_values'] - theirs['p_values']).max():.3g}")
    for who, found in (("ours", ours), ("theirs", theirs)):
        selected = found["selected"].astype(bool)
        row[f"{who}_fpr"] = round(float(np.mean(found["p_values"][~is_out] <= FPR)), 4)
        row[f"{who}_fdp"] = round(float(np.sum(selected & ~is_out) / max(1, np.sum(selected))), 4)
        row[f"{who}_found"] = round(float(np.mean(selected[is_out])), 4)
    return row | {"version": costs["version"]}


def report(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table."""
    header = ["preset", "others", "calibrated with", "largest difference of p-values", f"in-distribution at p <= {FPR:g}"]
    header += [f"false among the flagged, at {FDR:g}", "others flagged"]
    lines = []
    for row in rows:
        both = [f"{row[f'ours_{key}']} / {row[f'theirs_{key}']}" for key in ("fpr", "fdp", "found")]
        title = datasets.get(row["out_of_distribution"]).title
        lines.append([f"`{row['preset']}`", title, str(row["calibrated_with"]), str(row["largest_difference"]), *both])
    said = "; ".join(dict.fromkeys(f"nonconform {row['version']}, {row['machine']}" for row in rows))
    return f"\n\n{markdown_table(header, lines)}\n\nOurs / nonconform's. Measured with {said}.\n\n"


if __name__ == "__main__":
    main()
