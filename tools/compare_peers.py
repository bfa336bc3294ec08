"""Every detector of `peer_detectors.py` on the same images, features and splits, and what it costs.

Five data sets make ten pairs; six are measured in both directions, for of CIFAR-100 no training split is at hand. Of an
in-distribution set 10,000 images of the training split, drawn by seed, are what every detector gets; 2,000 of each test split
are what it is measured on. Each run is a process of its own in the environment of the detector's library. Writes `peers.csv`,
a row for each detector, in-distribution set, seed and other set, and draws `peers.png`; runs that it has are not made again.
`--report PAGE` puts the tables into a page of the documentation and runs nothing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations, product
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from peer_detectors import PEERS
from table_file import begun, marks

from keras_ood import datasets, plots
from keras_ood.backend.machine import describe_machine
from keras_ood.encoders import FrozenEncoder
from keras_ood.evaluation.metrics import detection_metrics
from keras_ood.models.entrance import Entrance
from keras_ood.tables.markdown import markdown_table, mean_cell
from keras_ood.tables.records import write_records
from keras_ood.training.settings import Settings
from keras_ood.training.start import ENCODER, Start

ROOT = Path(__file__).parents[1]
INSIDE = ("cifar10", "gtsrb", "fashion_mnist", "mnist")
SETS = (*INSIDE, "cifar100")  # of the last no training split is at hand
POOL, TRAINING, TESTED = 15_000, 10_000, 2_000  # images: drawn from, drawn, tested of each set
SEEDS = (0, 1, 2)
OURS = "keras_ood TiltedVAE"  # what `keras_ood.finetune` makes where nobody says otherwise
ENVIRONMENTS = {
    "pytorch-ood": ["pytorch-ood==0.4.0", "scikit-learn<2", "torch==2.13.0", "torchvision==0.28.0"],
    "pyod": ["pyod==3.6.7", "torch==2.13.0"],
    "alibi-detect": ["alibi-detect[tensorflow]==0.13.0"],
    "nonconform": ["nonconform==2.0.0"],
    "anomalib": ["anomalib==2.7.0", "torch==2.13.0", "torchvision==0.28.0"],
}
"""What is installed, by library; in environments that do not hold ours."""

SETTINGS = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_USE_LEGACY_KERAS": "1"}  # alibi-detect's models are of Keras 2

INTERPRETERS = {"nonconform": "python3.12"}
"""Of environments that the interpreter of this one cannot be of."""

PAIRS = tuple(combinations(SETS, 2))
COSTS = {"fit_seconds": 1, "images_per_second": 0, "peak_mib": 0}  # columns, and their digits
MARKS = marks(__file__)


def main() -> None:
    """Measure what is left and write the tables, or report them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, default=ROOT / "build" / "peers", help="where there is one, it is used")
    parser.add_argument("--peers", nargs="+", choices=PEERS, help="all if absent")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--again", action="store_true", help="measure runs again that the table has")
    arguments, table, rows = begun(parser, "peers.csv", MARKS, report)
    training, test = (
        {name: some(name, "train", POOL) for name in INSIDE},
        {name: some(name, "test", TESTED)[0] for name in SETS},
    )
    runner = Runner(arguments.environments)
    for seed, inside, name in product(arguments.seeds, INSIDE, arguments.peers or PEERS):
        known = {"detector": name, "in_distribution": inside, "seed": seed}
        done = any(same(row, known) for row in rows) and not arguments.again
        if done or (PEERS[name].slow and seed != SEEDS[0]):
            continue
        scores, costs = runner.run(name, PEERS[name].library, task(inside, training[inside], test, seed))
        found = [known | row | costs | {"machine": describe_machine()} for row in measured(scores)]
        rows = [row for row in rows if not same(row, known)] + found
        write_records(table, rows)
        print(*(f"{key}={value}" for key, value in rows[-1].items() if key != "machine"), flush=True)
    figure(rows).savefig(table.with_suffix(".png"))


def same(row: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Return whether a row is of a run."""
    return all(str(row[key]) == str(value) for key, value in known.items())


def some(name: str, part: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return so many images of a split and their labels, by a fixed shuffle."""
    images, labels = datasets.load(name, part)
    order = np.random.default_rng(0).permutation(len(images))[:count]
    return images[order], labels[order].astype(int)


def task(
    inside: str, training: tuple[np.ndarray, np.ndarray], test: Mapping[str, np.ndarray], seed: int
) -> dict[str, np.ndarray]:
    """Return what a detector is fitted and measured with: see `peer_detectors`."""
    images, labels = training
    chosen = np.random.default_rng(seed).permutation(len(images))[:TRAINING]
    given = {"seed": np.array(seed), "train": features(images)[chosen], "labels": labels[chosen]}
    return given | {f"test:{'' if name == inside else name}": features(outside) for name, outside in test.items()}


def features(images: np.ndarray) -> np.ndarray:
    """Return the encoder's features of images, float32 `(N, width)`; they are computed once and kept on disk."""
    return np.asarray(entrance().embed(images).values())


@cache
def entrance() -> Entrance:
    """Return the entrance of what `keras_ood.finetune` makes: it is built once."""
    made: Entrance = Start.of(FrozenEncoder(ENCODER), None, None, None, Settings()).moved.detector.entrance
    return made


class Runner:
    """Runs a detector in a process of its own, in the environment of its library.

    Args:
        environments: Folder of environments by library; one that is not there is made and filled.
        script: Of this folder, what runs there.
    """

    def __init__(self, environments: Path, script: str = "peer_detectors.py") -> None:
        self.environments, self.script = environments.absolute(), Path(__file__).with_name(script)

    def run(self, name: str, library: str, given: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the arrays and the costs that a detector of the script finds."""
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / "task.npz", Path(folder) / "result.npz"]
            np.savez(files[0], allow_pickle=False, **given)
            command = [self._python(library), str(self.script), name, *map(str, files)]
            subprocess.check_call(command, cwd=folder, env=os.environ | SETTINGS)
            with np.load(files[1]) as file:
                found = dict(file)
        return found, json.loads(str(found.pop("costs")))

    def _python(self, library: str) -> str:
        if library == "keras-ood":
            return sys.executable
        python = self.environments / library / "bin" / "python"
        if not python.exists():
            subprocess.check_call([INTERPRETERS.get(library, sys.executable), "-m", "venv", str(python.parents[1])])
            subprocess.check_call([str(python), "-m", "pip", "install", "--quiet", *ENVIRONMENTS[library]])
        return str(python)


def measured(scores: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return a row for each of the other sets."""
    rows = []
    for name, outside in scores.items():
        if name:
            found = detection_metrics(scores[""], outside)
            rows.append({"out_of_distribution": name} | {key: round(found[key], 5) for key in ("auroc", "fpr95")})
    return rows


def report(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the tables of rows as Markdown: every detector's means, best first, its pairs, its settings."""
    check_whole(rows)
    ours = by_pair(rows, OURS)
    lines, pairs = [], []
    for name in ranked(rows):
        own, found = [row for row in rows if row["detector"] == name], by_pair(rows, name)
        seeds = [average([row for row in own if row["seed"] == seed], name) for seed in sorted({row["seed"] for row in own})]
        first = [row for row in own if same(row, {"seed": SEEDS[0]})]
        ahead = sum(ours[pair] >= value for pair, value in found.items())
        lines.append([name, "yes" if PEERS[name].labels else "no", mean_cell(seeds)])
        lines[-1] += [f"{mean(by_pair(rows, name, 'fpr95').values()):.3f}", "-" if name == OURS else f"{ahead} of {len(found)}"]
        lines[-1] += [f"{median(float(row[key]) for row in first):,.{digits}f}" for key, digits in COSTS.items()]
        pairs.append([name, *(f"{found[pair]:.3f}" if pair in found else "-" for pair in PAIRS)])
    header = ["detector", "labels", "AUROC", "FPR95", f"pairs where `{OURS}` is at least as good"]
    header += ["seconds to fit", "images a second", "MiB at most"]
    settings = [[name, PEERS[name].note] for name in ranked(rows)]
    used = ", ".join(sorted({f"{PEERS[row['detector']].library} {row['version']}" for row in rows}))
    machines = "; ".join(dict.fromkeys(row["machine"] for row in rows))
    parts = [markdown_table(header, lines), "AUROC of each pair, the mean of its directions:"]
    parts += [markdown_table(["detector", *titles()], pairs), "Settings:", markdown_table(["detector", "settings"], settings)]
    return "\n\n" + "\n\n".join([*parts, f"Measured with {used} on {machines}."]) + "\n\n"


def figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Return a picture of every detector's AUROC on every pair, the best detector first."""
    names = ranked(rows)
    return plots.heat_map([[by_pair(rows, name).get(pair) for pair in PAIRS] for name in names], names, titles())


def check_whole(rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a table in which means would be over unlike runs.

    Raises:
        ValueError: A detector lacks sets that ours has.
    """
    cells: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for row in rows:
        cells.setdefault((row["detector"], row["seed"]), set()).add((row["in_distribution"], row["out_of_distribution"]))
    if lacking := [run for run, found in cells.items() if found != cells[OURS, run[1]]]:
        raise ValueError(f"Every detector is measured on the same sets as {OURS}. Received: others of {lacking}")


def titles() -> list[str]:
    """Return what the pairs are called."""
    return [" / ".join(datasets.get(name).title for name in pair) for pair in PAIRS]


def ranked(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the detectors, the one of the largest mean first."""
    return sorted(dict.fromkeys(row["detector"] for row in rows), key=lambda name: -average(rows, name))


def average(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    """Return a detector's mean AUROC over its pairs."""
    return mean(by_pair(rows, name).values())


def by_pair(rows: Sequence[Mapping[str, Any]], name: str, metric: str = "auroc") -> dict[tuple[str, str], float]:
    """Return a detector's metric of every pair that it was measured on: the mean of its directions, each of all seeds."""
    found: dict[tuple[str, str], list[float]] = {pair: [] for pair in PAIRS}
    for row in rows:
        pair = tuple(sorted((row["in_distribution"], row["out_of_distribution"]), key=SETS.index))
        if row["detector"] == name:
            found[pair].append(float(row[metric]))
    return {pair: mean(values) for pair, values in found.items() if values}


if __name__ == "__main__":
    main()
