"""The commands that measure many detectors or settings."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_ood.cli import completion
from keras_ood.cli.computing import computing
from keras_ood.cli.console import Json, command, err, same_command, show, table
from keras_ood.hub import handles

Runs = Annotated[Path, typer.Option(help="Where finished trainings are kept.")]


def benchmark(
    presets: Annotated[
        list[str] | None,
        typer.Argument(help="Zoo names; all if absent.", metavar="[PRESETS]...", autocompletion=completion.presets),
    ] = None,
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results.")] = Path("benchmark"),
    runs: Runs = Path("runs"),
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--costly",
            "-c",
            help="Costly score to measure, repeatable; all if absent.",
            autocompletion=completion.methods,
        ),
    ] = None,
    images: Annotated[int, typer.Option(min=50, help="Images of each set.")] = 2000,
    costly_images: Annotated[int, typer.Option(min=50, help="Images of each set for costly scores.")] = 300,
    rates: Annotated[
        bool, typer.Option("--rates", help="Measure images a second in place of scores, for the report in --out.")
    ] = False,
    speed: Annotated[bool, typer.Option("--speed", help="Measure speed and memory in place of scores, as ratios.")] = False,
    speed_images: Annotated[
        int, typer.Option(min=1000, help="Images of the largest file whose memory is measured.")
    ] = 1_000_000,
    check: Annotated[bool, typer.Option("--check", help="With --speed: compare with the ratios kept in --out.")] = False,
    check_gpu: Annotated[bool, typer.Option("--check-gpu", help="With --speed: fail where no GPU computes.")] = False,
    as_json: Json = False,
) -> None:
    """Measure every score on every preset, seed and pair of data sets; a killed run goes on where it stopped.

    Example: keras-ood benchmark tilted-vae-mnist-pixels gaussian-vae-mnist-pixels --out results
    """
    if speed or check or check_gpu:
        others = [*(["no --speed"] if not speed else []), *(["--rates"] if rates else []), *(presets or [])]
        _speed(folder, speed_images, check, check_gpu, others, as_json)
        return
    with computing(same_command()):
        from keras_ood import benchmark, scores

        for method in methods or []:
            scores.get(method)
        limits = benchmark.Limits(images=images, costly_images=costly_images)
        names = presets or handles.list_models()
        total = 0
        if rates:
            for total, name in enumerate(benchmark.measure_rates(names, folder, runs, methods, limits), 1):
                err.print(f"{total} of {len(names)}: {name}")
        else:
            for cell, number, total in benchmark.run(names, folder, runs, methods, limits):
                err.print(f"{number} of {total}: {cell.preset}, {cell.weights}, seed {cell.seed}, {cell.group}")
        benchmark.write_report(folder)
        measured = "rates.csv" if rates else "results.csv"
        value = {"folder": str(folder), "files": [measured, "README.md", "index.html"], "presets" if rates else "cells": total}
        show(value, as_json, lambda: f"Wrote {folder}/{measured}, README.md and index.html")


def _speed(folder: Path, images: int, check: bool, check_gpu: bool, others: list[str], as_json: bool) -> None:
    with computing():
        from keras_ood.backend import devices
        from keras_ood.benchmark import speed

        if others:
            raise ValueError(
                "--check and --check-gpu belong to --speed, which takes no presets and no --rates. "
                f"Received: {', '.join(others)}"
            )
        if check_gpu and devices.gpu_name() is None:
            raise RuntimeError("--check-gpu takes a GPU. Received: a backend that computes on a CPU")
        kept = speed.read(speed.file(folder))[1] if check else []
        rows = []
        for row in speed.measure(images):
            rows.append(row)
            err.print(f"{row.name}: {row.ratio:.2f}", soft_wrap=True)
        value: dict[str, Any] = {"comparisons": [asdict(row) for row in rows], "file": str(speed.file(folder))}
        if check:
            value |= {
                "lost": speed.lost(rows, kept),
                "not_measured": sorted({row.name for row in kept} - {row.name for row in rows}),
            }
            verdict = f"Not measured here: {value['not_measured'] or 'none'}"
        else:
            verdict = f"Wrote {speed.write(folder, rows)}"
        show(value, as_json, lambda: "\n".join([*map(_line, rows), verdict]))
        if check and value["lost"]:
            raise RuntimeError(f"Ratios that got worse than those kept in {value['file']}. Received: {value['lost']}")


def _line(row: Any) -> str:
    goal = "" if row.goal is None else f" (goal: {row.goal:g})"
    return f"{row.name}: {row.ratio:.2f}{goal}; {row.ours:,.1f} against {row.theirs:,.1f} {row.unit}"


def sweep(
    recipe: Annotated[Path, typer.Argument(help="A recipe.toml of a TiltedVAE; sweep.csv is written beside it.")],
    settings: Annotated[
        list[str], typer.Option("--setting", "-s", help="architecture,latent_dim,tilt; repeatable.", metavar="SETTING")
    ],
    seconds: Annotated[float, typer.Option(help="Processor time of each training.")] = 100,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Compare settings of a VAE on held-out in-distribution images, at equal processor time.

    Example: keras-ood sweep zoo/tilted-vae-cifar10-pixels/recipe.toml -s small,64,20 -s small,64,0
    """
    with computing(same_command()):
        from keras_ood.evaluation.studies.sweep import CSV, parse_setting
        from keras_ood.evaluation.studies.sweep import sweep as run
        from keras_ood.recipes.recipe import Recipe

        chosen, file = [parse_setting(setting) for setting in settings], recipe.parent / CSV
        rows = []
        for row in run(Recipe.read(recipe), chosen, seconds, file, runs):
            rows.append(row)
            err.print(f"{row['architecture']}, {row['latent_dim']}, {row['tilt']}: nll {row['nll']}")
        show(rows, as_json, lambda: table(rows, f"Measured now; all rows are in {file}"), command("train", recipe))
