"""One cell of the benchmark: a network, and scores that share a pass."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_ood import datasets, scores
from keras_ood.backend.machine import describe_machine
from keras_ood.benchmark.networks import ALL_SEEDS, Networks
from keras_ood.datasets.named import named_images
from keras_ood.evaluation.evaluate import evaluate

CHEAP = "cheap"


@dataclass(frozen=True)
class Limits:
    """How much is measured.

    Attributes:
        images: Number of images of each set, for the cheap scores.
        corrupted_images: Number of images of each kind and severity of corruption, for the cheap scores.
        costly_images: Number of images of each set, for the others.
        calibration: Held-out images for scores that are fitted, of the costly ones at most as many as `costly_images`.
        resamples: Number of resamples of the bootstrap.
        further: Out-of-distribution sets beside the other presets' in-distribution sets and the corruptions.
    """

    images: int = 2000
    corrupted_images: int = 500
    costly_images: int = 300
    calibration: int = 10_000
    resamples: int = 100
    further: tuple[str, ...] = ("cifar100", "noise", "constant")


@dataclass(frozen=True)
class Cell:
    """What is measured at once, and kept in one file.

    Attributes:
        preset: Zoo name.
        weights: `"trained"` or `"untrained"`.
        seed: Seed of the training, or `"all"` for the ensemble of all seeds.
        group: `"cheap"` for all cheap scores, or the name of a costly one.
    """

    preset: str
    weights: str
    seed: int | str
    group: str

    def file(self, folder: Path, key: str) -> Path:
        """Return where the cell's rows are kept, under a key of all that they depend on."""
        return folder / f"{self.preset}.{self.weights}.{self.seed}.{self.group}.{key}.csv"

    def measure(self, networks: Networks, inside_sets: list[str], limits: Limits) -> list[dict[str, Any]]:
        """Return the cell's rows.

        Args:
            networks: Those of the preset.
            inside_sets: Names of all in-distribution sets of the benchmark.
            limits: How much to measure.
        """
        recipe, detector = networks.recipe, networks.detector(self.weights, self.seed)
        held_out = recipe.calibration_images()
        cheap = self.group == CHEAP
        methods = scores.available(detector, cheap=True) if cheap else [self.group]
        if self.seed == ALL_SEEDS:
            methods = ["waic"]
        count = limits.images if cheap else limits.costly_images
        fitted = [name for name in methods if scores.get(name).fits]
        if fitted:
            detector.calibrate(held_out[: limits.calibration if cheap else count], methods=fitted)
        # A costly score takes the first of the images that the cheap ones take, so that an encoder sees each once.
        images = datasets.load(recipe.dataset, "test")[0][: max(limits.images, limits.costly_images)]
        sets = outside_sets(recipe.dataset, images, [*inside_sets, *limits.further])
        if cheap:
            sets |= corrupted_sets(images[: limits.corrupted_images])
        inside, *outside = (recipe.seen(each)[:count] for each in (images, *sets.values()))
        shipped = self.weights == "trained" and self.seed in (recipe.seeds[0], ALL_SEEDS)
        resamples = limits.resamples if shipped else 0
        report = evaluate(detector, inside, dict(zip(sets, outside, strict=True)), methods, resamples=resamples)
        first = {
            "preset": self.preset,
            "family": recipe.family,
            "looks_at": recipe.looks_at,
            "default_score": recipe.default_score,
            "in_distribution": recipe.dataset,
            "weights": self.weights,
            "seed": self.seed,
        }
        return [
            first
            | record
            | {
                "tag": "transductive" if scores.get(record["method"]).transductive else "per-image",
                "cost": scores.get(record["method"]).cost,
                "machine": describe_machine(),
            }
            for record in report.records()
        ]


def outside_sets(dataset: str, inside: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    """Return `{name: images}` of the sets named, but the detector's own; no more images of each than `inside` has."""
    return {name: named_images(name, inside)[: len(inside)] for name in dict.fromkeys(names) if name != dataset}


def corrupted_sets(images: np.ndarray) -> dict[str, np.ndarray]:
    """Return `{"kind-severity": images}`, every kind and severity of corruption."""
    return {
        f"{name}-{severity}": datasets.corrupt(name, images, severity)
        for name in datasets.CORRUPTIONS
        for severity in datasets.SEVERITIES
    }
