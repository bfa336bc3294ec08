"""How many images a second every score of every preset takes, measured in one run on one machine."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from keras_ood import datasets, scores
from keras_ood.backend.machine import describe_machine
from keras_ood.benchmark.cell import Limits
from keras_ood.benchmark.networks import ALL_SEEDS, Networks
from keras_ood.benchmark.rate import Rate
from keras_ood.benchmark.runner import RATES, RESULTS, costly_scores
from keras_ood.models import Detector
from keras_ood.tables.records import read_records, write_records

BATCH = 256


def measure_rates(
    presets: Sequence[str], folder: Path, runs: Path, methods: Sequence[str] | None = None, limits: Limits | None = None
) -> Iterator[str]:
    """Time every preset that ships, keep its rows in `rates.csv` in place of those before, and yield its name.

    Whole images go in, so that an encoder's pass counts. The rates of one run on idle cores compare with each other.

    Args:
        presets: Zoo names.
        folder: Folder of the results.
        runs: Folder of trainings, for the score of all seeds.
        methods: Costly scores to time; None for all.
        limits: How many images: `images` for cheap scores, of which three batches are taken, `costly_images` for others.

    Raises:
        ValueError: The folder has no `results.csv`, or a score is no costly one.
    """
    if not (folder / RESULTS).exists():
        raise ValueError(f"Rates stand beside scores, which are measured first. Received: {folder} without {RESULTS}")
    limits, chosen = limits or Limits(), costly_scores(methods)
    for name in presets:
        networks = Networks.of(name, runs)
        rows = [asdict(rate) for rate in _rates(name, networks, chosen, limits)]
        before = read_records(folder / RATES) if (folder / RATES).exists() else []
        write_records(folder / RATES, [*(row for row in before if row["preset"] != name), *rows])
        yield name


def _rates(name: str, networks: Networks, chosen: Sequence[str], limits: Limits) -> Iterator[Rate]:
    recipe, detector = networks.recipe, networks.shipped
    test = datasets.load(recipe.dataset, "test")[0]
    timed = [(detector, method) for method in scores.available(detector) if scores.get(method).cheap or method in chosen]
    if len(networks.trained) > 1:
        timed.append((networks.detector("trained", ALL_SEEDS), "waic"))
    for scorer, method in timed:
        score = scores.get(method)
        count = limits.images if score.cheap else limits.costly_images
        if score.fits and not score.cheap:
            scorer.calibrate(recipe.calibration_images()[:count], methods=[method])
        rate = images_per_second(scorer, test[:count], method)
        yield Rate(name, recipe.looks_at, recipe.dataset, method, rate, describe_machine())


def images_per_second(detector: Detector, images: np.ndarray, method: str) -> float:
    """Return the rate of at most three whole batches; another would be compiled by the clock."""
    images = images[: min(max(len(images) // BATCH, 1), 3) * BATCH]
    detector.score(images[:BATCH], method, batch_size=BATCH, progress=False)
    start = time.perf_counter()
    detector.score(images, method, batch_size=BATCH, progress=False)
    return round(len(images) / (time.perf_counter() - start), 1)
