"""Means of what the benchmark measured, over pairs of data sets and over seeds."""

from collections.abc import Iterable, Sequence
from statistics import mean

from keras_ood.benchmark.measurement import Measurement
from keras_ood.tables.markdown import mean_cell

Rows = Sequence[Measurement]


def unique(values: Iterable[str]) -> list[str]:
    """Return each value once, in the order of their first places."""
    return list(dict.fromkeys(values))


def seed_means(rows: Iterable[Measurement], weights: str) -> list[float]:
    """Return for every seed the mean AUROC of its rows: the numbers whose spread is the trainings'."""
    seeds: dict[str, list[float]] = {}
    for row in rows:
        if row.weights == weights:
            seeds.setdefault(row.seed, []).append(row.auroc)
    return [mean(values) for values in seeds.values()]


def seeds_cell(rows: Rows) -> str:
    """Return mean and standard deviation over the seeds, the untrained networks' mean in brackets."""
    return mean_cell(seed_means(rows, "trained"), beside=seed_means(rows, "untrained"))


def pair_means(rows: Rows, weights: str) -> dict[tuple[str, str], float]:
    """Return for every pair of a preset and an out-of-distribution set the mean over its seeds."""
    pairs: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row.weights == weights:
            pairs.setdefault((row.preset, row.out_of_distribution), []).append(row.auroc)
    return {pair: mean(values) for pair, values in pairs.items()}


def average(values: Iterable[float]) -> str:
    """Return the mean as a cell; `-` for no values."""
    values = list(values)
    return f"{mean(values):.4f}" if values else "-"
