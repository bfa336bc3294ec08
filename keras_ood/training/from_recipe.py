"""From a recipe to a preset: train, calibrate, measure, write; resumable."""

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_ood import datasets, scores
from keras_ood.attention import PerImageGate
from keras_ood.cards import card
from keras_ood.evaluation.evaluate import evaluate, headline
from keras_ood.evaluation.report import Report
from keras_ood.evaluation.studies import CHECKS, STUDIES
from keras_ood.hub import preset, serialization
from keras_ood.models import Detector
from keras_ood.models.trainable import SETTLED_BY
from keras_ood.recipes.checks import UNGATED
from keras_ood.recipes.recipe import Recipe
from keras_ood.tables.records import writable, write_records
from keras_ood.training.beside import COMPARED, check_beside, measured_beside, seen_sets
from keras_ood.training.note import read_note
from keras_ood.training.train_seed import train_seed

RESAMPLES = 100  # of the bootstrap, for the weights that are shipped


def train(recipe_path: Path, runs: Path = Path("runs"), verbose: bool = True) -> Path:
    """Train every seed of a recipe, measure all of them and their untrained networks, and write the preset.

    The preset goes to the recipe's own folder: the first seed's weights and calibration, `results.csv` of all seeds,
    `preset.json` and the model card. What is shipped is measured on all images, the rest on 2,000 of each set. Finished seeds
    found in `runs` are not trained again.

    Args:
        recipe_path: A `recipe.toml`.
        runs: Where checkpoints and finished seeds are kept, a folder each.
        verbose: Whether to show epochs, their rate and the time left on standard error.

    Returns:
        The preset's folder.

    Raises:
        FileExistsError: The recipe's folder holds a file of something else by a preset's name for one.
        ValueError: A recipe that cannot be, said before anything is trained; see `keras_ood.recipes.recipe.Recipe`.
        OSError: The preset's folder or `runs` cannot be written.
    """
    recipe = Recipe.read(recipe_path)
    folder = Path(recipe_path).parent
    for place in (folder, runs):
        writable(place)
    preset.refuse_strangers(folder, [preset.PRESET, *preset.FILES])  # before hours of training
    _check(recipe)
    calibration_images, (test_images, sets) = recipe.calibration_images(), seen_sets(recipe)
    training, held_out = recipe.training_split()
    settling = recipe.seen(training)[:SETTLED_BY]
    base = recipe.base or recipe
    keras.utils.set_random_seed(recipe.seeds[0])
    gate = recipe.gate(trained=True)
    untrained_gate = gate if recipe.encoder is not None else recipe.gate(trained=False)  # a frozen encoder is the same
    _check_measures(recipe, untrained(recipe, recipe.seeds[0], untrained_gate))
    background = _trained_background(recipe, runs, verbose)
    records, shipped = [], None
    for seed in recipe.seeds:
        network = train_seed(base, seed, runs / base.name / f"seed-{seed}", verbose)
        detectors = {
            "untrained": untrained(recipe, seed, untrained_gate),
            "trained": equipped(network, gate, background),
        }
        if gate is not None and recipe.encoder is not None:
            detectors[UNGATED] = equipped(network, None, background)
        for weights, detector in detectors.items():
            detector.settle(settling)
            detector.calibrate(calibration_images)
            is_shipped = weights == "trained" and seed == recipe.seeds[0]
            limit, resamples = (None, RESAMPLES) if is_shipped else (COMPARED, 0)
            outside = {name: images[:limit] for name, images in sets.items()}
            report = evaluate(detector, test_images[:limit], outside, resamples=resamples)
            if is_shipped:
                detector.calibrate_maps(held_out)
                shipped = (detector, report)
            records += report.records(weights=weights, seed=seed)
    assert shipped is not None, "a recipe has at least one seed"
    detector, report = shipped
    beside, encoders = measured_beside(recipe, runs, verbose)
    records += beside
    measurements = runs / recipe.name / "measurements"  # the preset's folder is left alone until all is there
    shutil.rmtree(measurements, ignore_errors=True)
    measurements.mkdir(parents=True)
    write_records(measurements / card.RESULTS, records)
    log = read_note(runs / base.name / f"seed-{recipe.seeds[0]}")
    measured = {name: STUDIES[name](detector, recipe.dataset, measurements, runs) for name in recipe.studies}
    provenance = _provenance(recipe, log, detector, report, len(calibration_images))
    if recipe.background is not None:
        background_log = read_note(runs / f"{recipe.name}-background" / f"seed-{recipe.seeds[0]}")
        provenance["background"] = recipe.background.table() | background_log
    provenance |= detector.provenance(test_images, report.statistics["in_distribution"])
    if recipe.attention is not None:
        provenance["attention"] = recipe.attention_provenance()
    if encoders:
        provenance["encoders_beside"] = encoders
    with preset.drafted(folder) as draft:
        for file in [*measurements.iterdir(), *(folder / name for name in preset.SOURCES if (folder / name).exists())]:
            shutil.copy(file, draft)
        serialization.write(detector, draft, provenance | measured)
    card.write(folder)
    return folder


def _check(recipe: Recipe) -> None:
    """Refuse before any image is read what could not be built or measured."""
    if not set(recipe.studies) <= set(STUDIES):
        raise ValueError(f"`studies` are of {sorted(STUDIES)}. Received: {list(recipe.studies)} in the recipe of {recipe.name}")
    recipe.build()
    check_beside(recipe)


def _check_measures(recipe: Recipe, detector: Detector) -> None:
    """Refuse before anything is trained what a detector of this recipe, whole but untrained, could not be measured by."""
    calibrated = scores.available(detector, cheap=True)
    if detector.default_score not in calibrated:
        raise ValueError(
            f"The default score of {recipe.name} must be one that it has and that is calibrated unasked, of {calibrated}. "
            f"Received: {detector.default_score!r}"
        )
    for name in recipe.studies:
        CHECKS[name](detector, recipe.dataset)


def _trained_background(recipe: Recipe, runs: Path, verbose: bool) -> Detector | None:
    background = recipe.background_recipe()
    if background is None:
        return None
    seed = background.seeds[0]
    return train_seed(background, seed, runs / background.name / f"seed-{seed}", verbose)


def untrained(recipe: Recipe, seed: int, gate: PerImageGate | None) -> Detector:
    """Return a recipe's detector with the weights that its training starts from, and an untrained background model."""
    keras.utils.set_random_seed(seed)
    network, background = recipe.build(), recipe.background_recipe()  # the background's weights are drawn after the network's
    recipe.fit_feature_space(network)
    return equipped(network, gate, None if background is None else background.build())


def equipped(detector: Detector, gate: PerImageGate | None, background: Detector | None) -> Detector:
    """Return a detector with what its recipe adds to the networks; either may be None."""
    if gate is not None:
        detector = detector.with_attention(gate)
    return detector if background is None else detector.with_background(background)


def _provenance(
    recipe: Recipe, log: dict[str, Any], detector: Detector, report: Report, calibration_images: int
) -> dict[str, Any]:
    dataset = datasets.get(recipe.dataset)
    inside = report.statistics["in_distribution"]
    return {
        "name": recipe.name,
        "in_distribution": {
            "name": recipe.dataset,
            "title": dataset.title,
            "source": dataset.source,
            "licence": dataset.licence,
            "training_images": log["training_images"],
            "calibration_images": calibration_images,
            "gate_images": recipe.calibration_size - calibration_images,
            "test_images": len(inside["nll"]),
        },
        "recipe_sha256": recipe.digest,
        "model": recipe.model,
        "seeds": recipe.seeds,
        "training": log,
        "statistics": {name: float(np.mean(values)) for name, values in inside.items()},
        **headline(detector, report),
    }
