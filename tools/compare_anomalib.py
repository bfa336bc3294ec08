"""anomalib's own PatchCore and PaDiM beside our flows, on the features and images of `compare_localisation.py`.

Writes `anomalib.csv`, a row for each set and model; sets that it has are not measured again. `--report PAGE` puts the table of
the file, with the rows of `localisation.csv` beside it, into a page of the documentation and measures nothing.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from compare_localisation import SEEN, Sizes, agreement, at_pixels, feature_flow, prepared, sets
from compare_peers import ROOT, Runner
from table_file import begun, marks

from keras_ood.backend.machine import describe_machine
from keras_ood.benchmark.localisation import RAW
from keras_ood.tables.markdown import markdown_table
from keras_ood.tables.records import read_records, write_records

MODELS = ("anomalib PatchCore", "anomalib PaDiM")
BESIDE = ("flow with attention", "flow without attention", "PatchCore", "PaDiM")
METRICS = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "pro": "PRO"}
MARKS = marks(__file__)


def main() -> None:
    """Measure what is left and write the table, or report it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, default=ROOT / "build" / "peers", help="as of compare_peers.py")
    parser.add_argument("--photographs", type=Path, help="as of compare_localisation.py")
    arguments, table, rows = begun(parser, "anomalib.csv", MARKS, report)
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "4000000"  # or glibc keeps 20 GB that PatchCore's choice of positions has given back
    runner = Runner(arguments.environments, "anomalib_detectors.py")
    sizes = Sizes()
    for name, make in sets(arguments.photographs, sizes).items():
        left = [model for model in MODELS if (name, model) not in {(row["in_distribution"], row["method"]) for row in rows}]
        if not left:
            continue
        images = make()
        tested = prepared(images, feature_flow(images), sizes)
        given = {"train": tested.training.features, "test": tested.test.features, "side": np.array(SEEN)}
        for model in left:
            found, costs = runner.run(model, "anomalib", given)
            fine = at_pixels(found["maps"], tested.masks.shape[1], smoothing=0)
            known = {"in_distribution": name, "method": model}
            rows.append(known | agreement(RAW, fine, found["scores"], tested) | costs | {"machine": describe_machine()})
            print(rows[-1], flush=True)
            write_records(table, rows)


def report(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table: means over the sets of the file, of its models and of ours on the same sets."""
    names = list(dict.fromkeys(row["in_distribution"] for row in rows))
    beside = [row for row in read_records(ROOT / "benchmark" / "localisation.csv") if row["in_distribution"] in names]
    if len({(row["in_distribution"], row["method"]) for row in rows}) < len(names) * len(MODELS):
        raise ValueError(f"A mean is over the same sets for each of {MODELS}. Received: {len(rows)} rows of {names}")
    lines = []
    for method in (*BESIDE, *MODELS):
        own = [row for row in (*beside, *rows) if row["method"] == method and row["map"] == RAW]
        lines.append([method, *(f"{mean(float(row[key]) for row in own):.3f}" for key in METRICS)])
    lines.sort(key=lambda line: line[1], reverse=True)
    said = "; ".join(dict.fromkeys(f"anomalib {row['version']}, {row['machine']}" for row in rows))
    table = markdown_table(["method", *METRICS.values()], lines)
    return f"\n\nMeans over {', '.join(names)}:\n\n{table}\n\nMeasured with {said}.\n\n"


if __name__ == "__main__":
    main()
