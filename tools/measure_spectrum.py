"""The full spectrum of every preset: power at its own thresholds, mild corruptions, unit-test images, classes.

Each preset of the zoo whose data are at hand is measured as it ships, and beside it its untrained network, calibrated with
held-out images alike. Writes `spectrum.csv`; detectors that it has are not measured again. `--report PAGE` puts the tables
of the file into a page of the documentation and measures nothing.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import keras
from spectrum_tables import report
from table_file import begun, marks

from keras_ood import datasets
from keras_ood.evaluation.spectrum import UNIT, spectrum
from keras_ood.hub import handles, preset
from keras_ood.loading import from_pretrained
from keras_ood.models import Detector
from keras_ood.models.trainable import SETTLED_BY
from keras_ood.recipes.recipe import Recipe
from keras_ood.tables.records import write_records
from keras_ood.training.from_recipe import equipped, untrained

IMAGES = {"pixels": 5_000, "encoder": 3_000}  # of the test split at most; an encoder takes its time
CALIBRATION = 3_000  # held-out images of an untrained network at most
MARKS = marks(__file__)


def main() -> None:
    """Measure and write the table, or report it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="*", help="zoo names; all if absent")
    arguments, table, rows = begun(parser, "spectrum.csv", MARKS, report)
    for name in arguments.presets or handles.list_models():
        content = preset.read(handles.resolve(name))
        if not all(at_hand(each) for each in (content["in_distribution"]["name"], *content["auroc"])):
            print(f"{name}: its data are not at hand")
            continue
        for weights in ("trained", "untrained"):
            if (name, weights) not in {(row["preset"], row["weights"]) for row in rows}:
                rows += measure(name, weights, list(content["auroc"]))
                write_records(table, rows)
                print(f"{name}, {weights}", flush=True)


def at_hand(name: str) -> bool:
    """Return whether a set needs no download."""
    made = name in datasets.GENERATED or datasets.get(name).at_hand
    return made or datasets.local_file(name, "test") is not None


def measure(name: str, weights: str, sets: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of a preset, against the sets of its recipe that are no unit tests."""
    recipe = Recipe.read(handles.resolve(name) / "recipe.toml")
    detector = from_pretrained(name)
    if weights == "untrained":
        detector = untrained_of(recipe, detector)
    looks_at = "pixels" if recipe.encoder is None else "encoder"
    others = [each for each in sets if each not in UNIT]
    found = spectrum(detector, recipe.dataset, others, images=IMAGES[looks_at], progress=False)
    known = {
        "preset": name,
        "weights": weights,
        "in_distribution": recipe.dataset,
        "looks_at": looks_at,
        "score": detector.default_score,
        "calibration_images": len(detector.calibration()),
    }
    return [
        known | {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(row).items()}
        for row in found
    ]


def untrained_of(recipe: Recipe, shipped: Detector) -> Detector:
    """Return a preset's untrained network, calibrated; over an encoder with the shipped detector's features and gate.

    They are not trained: all training images would have to be embedded once more to have the same again.
    """
    seed = recipe.seeds[0]
    if recipe.encoder is None:
        detector = untrained(recipe, seed, recipe.gate(trained=False))
    else:
        keras.utils.set_random_seed(seed)
        detector = recipe.build()
        detector.feature_space.set_weights(shipped.feature_space.get_weights())
        detector = equipped(detector, shipped.gate, None)
    training, held_out = recipe.training_split()
    detector.settle(recipe.seen(training[:SETTLED_BY]))
    detector.calibrate(recipe.seen(held_out[:CALIBRATION]), detector.default_score, progress=False)
    return detector


if __name__ == "__main__":
    main()
