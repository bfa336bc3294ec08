"""Run what is left of the benchmark."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path

from keras_ood import scores
from keras_ood.benchmark.cell import CHEAP, Cell, Limits
from keras_ood.benchmark.measurement import Measurement
from keras_ood.benchmark.networks import ALL_SEEDS, Networks
from keras_ood.hub import handles, preset
from keras_ood.tables.records import read_records, write_records

CELLS, RESULTS, RATES = "cells", "results.csv", "rates.csv"


def plan(presets: Sequence[str], methods: Sequence[str] | None, runs: Path) -> list[Cell]:
    """Return the cells of the benchmark, cheap ones first.

    Every seed whose finished training lies in `runs` is measured, trained and untrained; of the others the one that the zoo
    ships. Costly scores are measured on the shipped seed.

    Args:
        presets: Zoo names.
        methods: Costly scores to measure; None for all.
        runs: Folder of trainings.
    """
    chosen = costly_scores(methods)
    cheap, costly = [], []
    for name in presets:
        networks = Networks.of(name, runs)
        seeds = list(networks.trained)
        for weights in ("trained", "untrained"):
            cheap += [Cell(name, weights, seed, CHEAP) for seed in seeds]
            if len(seeds) > 1:
                cheap.append(Cell(name, weights, ALL_SEEDS, CHEAP))
            costly += [Cell(name, weights, seeds[0], score) for score in scores.available(networks.shipped) if score in chosen]
    return cheap + costly


def costly_scores(methods: Sequence[str] | None) -> list[str]:
    """Return the costly scores that are meant, all for None.

    Raises:
        ValueError: One is no costly score.
    """
    known = [name for name in scores.names() if not scores.get(name).cheap]
    if methods is not None and not set(methods) <= set(known):
        raise ValueError(f"Costly scores are {known}. Received: {list(methods)}")
    return known if methods is None else list(methods)


def run(
    presets: Sequence[str], folder: Path, runs: Path, methods: Sequence[str] | None = None, limits: Limits | None = None
) -> Iterator[tuple[Cell, int, int]]:
    """Measure every cell that has no file yet, and yield `(cell, its number, number of cells)` after each.

    A cell's file is written whole or not at all: a killed run goes on where it was. Cells measured under other limits, sets or
    weights are measured again.

    Args:
        presets: Zoo names.
        folder: Folder of the results; a file for each cell goes to its `cells`.
        runs: Folder of trainings.
        methods: Costly scores to measure; None for all.
        limits: How much to measure.
    """
    limits = limits or Limits()
    (folder / CELLS).mkdir(parents=True, exist_ok=True)
    before = folder / RESULTS  # rows of other presets that the report keeps: all are measured against the same sets
    inside_sets = {row["in_distribution"] for row in read_records(before)} if before.exists() else set()
    inside_sets |= {preset.read(handles.resolve(name))["in_distribution"]["name"] for name in presets}
    cells = plan(presets, methods, runs)
    loaded: tuple[str, Networks] | None = None
    for number, cell in enumerate(cells, 1):
        file = cell.file(folder / CELLS, _key(cell, inside_sets, limits))
        if not file.exists():
            if loaded is None or loaded[0] != cell.preset:
                loaded = cell.preset, Networks.of(cell.preset, runs)
            rows = cell.measure(loaded[1], sorted(inside_sets), limits)
            for outdated in (folder / CELLS).glob(cell.file(folder, "*").name):
                outdated.unlink()
            write_records(file, rows)
        yield cell, number, len(cells)


def records(folder: Path) -> list[dict[str, str]]:
    """Return the rows of all finished cells."""
    return [row for file in sorted((folder / CELLS).glob("*.csv")) for row in read_records(file)]


def _key(cell: Cell, inside_sets: set[str], limits: Limits) -> str:
    content = preset.read(handles.resolve(cell.preset))
    weights = content["files"]["model.weights.h5"]["sha256"]
    columns = [field.name for field in fields(Measurement)]
    decisive = json.dumps(
        [asdict(limits), sorted(inside_sets), columns, weights, content["recipe_sha256"], version("keras-ood")]
    )
    return hashlib.sha256(decisive.encode()).hexdigest()[:8]
