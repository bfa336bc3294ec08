"""The commands that measure many detectors or settings."""

from pathlib import Path
from typing import Annotated

import typer

from keras_ood.console import err, errors_in_a_line, out

Runs = Annotated[Path, typer.Option(help="Where finished trainings are kept.")]


def benchmark(
    presets: Annotated[list[str] | None, typer.Argument(help="Zoo names; all if absent.", metavar="[PRESETS]...")] = None,
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results.")] = Path("benchmark"),
    runs: Runs = Path("runs"),
    methods: Annotated[
        list[str] | None, typer.Option("--costly", "-c", help="Costly score to measure, repeatable; all if absent.")
    ] = None,
    images: Annotated[int, typer.Option(min=50, help="Images of each set.")] = 2000,
    costly_images: Annotated[int, typer.Option(min=50, help="Images of each set for costly scores.")] = 300,
) -> None:
    """Measure every score on every preset, seed and pair of data sets; a killed run goes on where it stopped.

    Example: keras-ood benchmark tilted-vae-mnist gaussian-vae-mnist --out results
    """
    with errors_in_a_line():
        from keras_ood import benchmark, scores
        from keras_ood.hub import handles
        from keras_ood.recipe import DEFAULT_SCORE

        for method in methods or []:
            scores.get(method)
        limits = benchmark.Limits(images=images, costly_images=costly_images)
        names = presets or handles.list_models()
        for cell, number, total in benchmark.run(names, folder, runs, methods, limits):
            err.print(f"{number} of {total}: {cell.preset}, {cell.weights}, seed {cell.seed}, {cell.group}")
        benchmark.write_report(folder, DEFAULT_SCORE)
        out.print(f"Wrote {folder}/results.csv, README.md and index.html")


def sweep(
    recipe: Annotated[Path, typer.Argument(help="A recipe.toml of a TiltedVAE; sweep.csv is written beside it.")],
    settings: Annotated[
        list[str], typer.Option("--setting", "-s", help="architecture,latent_dim,tilt; repeatable.", metavar="SETTING")
    ],
    seconds: Annotated[float, typer.Option(help="Processor time of each training.")] = 100,
    runs: Runs = Path("runs"),
) -> None:
    """Compare settings of a VAE on held-out in-distribution images, at equal processor time.

    Example: keras-ood sweep zoo/tilted-vae-cifar10/recipe.toml -s small,64,20 -s small,64,0
    """
    with errors_in_a_line():
        from keras_ood.recipe import Recipe
        from keras_ood.studies.sweep import CSV, parse_setting
        from keras_ood.studies.sweep import sweep as run

        chosen = [parse_setting(setting) for setting in settings]
        for row in run(Recipe.read(recipe), chosen, seconds, recipe.parent / CSV, runs):
            out.print(row)
