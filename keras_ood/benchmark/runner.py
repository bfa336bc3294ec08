"""Run what is left of the benchmark."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path

from keras_ood import scores
from keras_ood.benchmark.cell import ALL_SEEDS, CHEAP, Cell, Limits
from keras_ood.benchmark.measurement import Measurement
from keras_ood.hub import handles, preset
from keras_ood.loading import from_pretrained
from keras_ood.models import Detector
from keras_ood.recipes.recipe import Recipe
from keras_ood.tables.records import read_records, write_records
from keras_ood.training.from_recipe import equipped
from keras_ood.training.note import NOTE
from keras_ood.training.train_seed import train_seed

CELLS, RESULTS = "cells", "results.csv"


def plan(presets: Sequence[str], methods: Sequence[str] | None, runs: Path) -> list[Cell]:
    """Return the cells of the benchmark, cheap ones first.

    Every seed whose finished training lies in `runs` is measured, trained and untrained; of the others the one that the zoo
    ships. Costly scores are measured on the shipped seed.

    Args:
        presets: Zoo names.
        methods: Costly scores to measure; None for all.
        runs: Folder of trainings.
    """
    known = [name for name in scores.names() if not scores.get(name).cheap]
    if methods is not None and not set(methods) <= set(known):
        raise ValueError(f"Costly scores are {known}. Received: {list(methods)}")
    cheap, costly = [], []
    for name in presets:
        networks = _networks(name, runs)[1]
        seeds = list(networks)
        for weights in ("trained", "untrained"):
            cheap += [Cell(name, weights, seed, CHEAP) for seed in seeds]
            if len(seeds) > 1:
                cheap.append(Cell(name, weights, ALL_SEEDS, CHEAP))
            served = [score for score in scores.available(networks[seeds[0]]) if not scores.get(score).cheap]
            costly += [Cell(name, weights, seeds[0], score) for score in served if methods is None or score in methods]
    return cheap + costly


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
    loaded: tuple[str, Recipe, dict[int, Detector]] | None = None
    for number, cell in enumerate(cells, 1):
        file = cell.file(folder / CELLS, _key(cell, inside_sets, limits))
        if not file.exists():
            if loaded is None or loaded[0] != cell.preset:
                loaded = (cell.preset, *_networks(cell.preset, runs))
            rows = cell.measure(loaded[1], loaded[2], sorted(inside_sets), limits)
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


def _networks(name: str, runs: Path) -> tuple[Recipe, dict[int, Detector]]:
    """Return a preset's recipe, and its trained networks by seed: those in `runs`, at least the shipped one."""
    folder = handles.resolve(name)
    recipe = Recipe.read(folder / "recipe.toml")
    base = recipe.base or recipe
    networks: dict[int, Detector] = {recipe.seeds[0]: from_pretrained(name)}
    for seed in recipe.seeds[1:]:
        finished = runs / base.name / f"seed-{seed}"
        if (finished / NOTE).exists():
            gate, background = networks[recipe.seeds[0]].gate, networks[recipe.seeds[0]].background
            networks[seed] = equipped(train_seed(base, seed, finished), gate, background)
    return recipe, networks
