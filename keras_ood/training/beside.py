"""What a recipe has trained and measured beside its preset: other arguments, other encoders."""

import dataclasses
from pathlib import Path
from typing import Any

from keras_ood import datasets
from keras_ood.datasets.named import named_images
from keras_ood.evaluation.evaluate import evaluate
from keras_ood.networks.residual import residual
from keras_ood.recipes.recipe import Recipe
from keras_ood.training.note import read_note
from keras_ood.training.self_supervised import SelfSupervised
from keras_ood.training.train_encoder import train_encoder
from keras_ood.training.train_seed import train_seed

COMPARED = 2_000
"""Images of each set, at most, that other seeds, untrained networks and what stands beside are measured on."""


def measured_beside(recipe: Recipe, runs: Path, verbose: bool) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Train every seed of what stands in `beside`, and measure it.

    Args:
        recipe: The preset's.
        runs: Where checkpoints and finished seeds are kept, a folder each.
        verbose: Whether to show epochs, their rate and the time left on standard error.

    Returns:
        The rows for `results.csv`, and by title what encoder is looked through where it is not the preset's.
    """
    records: list[dict[str, Any]] = []
    encoders: dict[str, Any] = {}
    for title, described in recipe.others_beside().items():
        folder = runs / described.name / "encoder"
        other = _with_its_network(described, folder, verbose)
        if other.encoder is not None and other.encoder != recipe.encoder:
            encoders[title] = other.encoder.frozen().provenance()
            if other is not described:  # the recipe trains it
                encoders[title]["training"] = read_note(folder)
        calibration_images = other.calibration_images()
        test_images, sets = seen_sets(other, COMPARED, cut_first=title in encoders)
        for seed in other.seeds:
            detector = train_seed(other, seed, runs / other.name / f"seed-{seed}", verbose)
            detector.calibrate(calibration_images)
            records += evaluate(detector, test_images, sets, resamples=0).records(weights=title, seed=seed)
    return records, encoders


def check_beside(recipe: Recipe) -> None:
    """Refuse before anything is trained what stands in `beside` and could not be built.

    Raises:
        ValueError: Arguments that the family does not take, an encoder that is not known, or images that cannot be turned.
    """
    for other in recipe.others_beside().values():
        encoder = other.encoder
        if encoder is not None and encoder.self_supervised is not None:
            SelfSupervised(residual(encoder.image_shape, encoder.self_supervised.widths))
        else:
            other.build()


def seen_sets(recipe: Recipe, limit: int | None = None, cut_first: bool = False) -> tuple[Any, dict[str, Any]]:
    """Return the in-distribution test images and the out-of-distribution sets by name, as a recipe's detector looks at them.

    Args:
        recipe: Whose `out_of_distribution` they are.
        limit: Number of images of each, from the first; None for all.
        cut_first: Whether the rest is not embedded either: right for an encoder that nothing else has all embeddings of.
    """

    def seen(images: Any) -> Any:
        return recipe.seen(images[:limit]) if cut_first else recipe.seen(images)[:limit]

    test_images, _ = datasets.load(recipe.dataset, "test")
    sets = {name: seen(named_images(name, test_images)) for name in recipe.out_of_distribution}
    return seen(test_images), sets


def _with_its_network(recipe: Recipe, folder: Path, verbose: bool) -> Recipe:
    """The recipe with its encoder trained, where it trains one of its own: once, for all seeds."""
    encoder = recipe.encoder
    if encoder is None or encoder.self_supervised is None:
        return recipe
    images, _ = recipe.training_split()
    network = train_encoder(images, encoder.image_shape, encoder.self_supervised, folder, recipe.seeds[0], verbose)
    trained_on = f"{datasets.get(recipe.dataset).title}'s training images, without labels"
    return dataclasses.replace(recipe, encoder=encoder.over(network, trained_on))
