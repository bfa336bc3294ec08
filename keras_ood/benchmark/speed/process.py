"""Whole processes: how long the first score and the help take, and how much memory many images do."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

import keras
import numpy as np
from PIL import Image

from keras_ood.benchmark.speed.comparison import Comparison

_COMMAND = (sys.executable, "-m", "keras_ood.cli")
_SCORE = (*_COMMAND, "score", "tilted-vae-mnist-pixels")


def comparisons(images: int = 1_000_000) -> Iterator[Comparison]:
    """Yield the rows: one image and the help, from start to end, and peak memory of `images` against a tenth of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = folder / "image.png"
        Image.fromarray(np.zeros((28, 28), np.uint8)).save(image)
        command = [*_SCORE, str(image), "--out", str(folder / "scores.csv")]
        backend = keras.backend.backend()
        yield from _start_up("one image scored", command, {backend: 1.5, "keras": 1.3})
        yield from _start_up("keras-ood --help", [*_COMMAND, "--help"], {"typer, rich.table": None})
        peaks = []
        for count in (images, images // 10):
            np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (count, 32, 32, 1)).flush()
            peaks.append(_peak([*_SCORE, str(folder / "images.npy"), "--out", str(folder / "scores.csv")]))
        name = "peak memory of scoring an array file: of one with a tenth of the images"
        yield Comparison(name, peaks[0] / peaks[1], peaks[0], peaks[1], "MiB", 1.1, lower_is_better=True, allowance=1.1)


def _start_up(what: str, command: Sequence[str], goals: Mapping[str, float | None], rounds: int = 3) -> Iterator[Comparison]:
    """Time a process from start to end, over that of one that imports packages and ends."""
    commands = [command, *([sys.executable, "-c", f"import {package}"] for package in goals)]
    times = [[_seconds(each) for each in commands] for _ in range(rounds + 1)][1:]
    own = median(row[0] for row in times)
    for column, (package, goal) in enumerate(goals.items(), start=1):
        ratio, other = median(row[0] / row[column] for row in times), median(row[column] for row in times)
        yield Comparison(f"{what}: import {package}", ratio, own, other, "s", goal, lower_is_better=True)


def _seconds(command: Sequence[str]) -> float:
    start = time.perf_counter()
    _run(command)
    return time.perf_counter() - start


def _peak(command: Sequence[str]) -> float:
    """Peak resident memory in MiB of a process, as the kernel counted it."""
    watch = f"import resource, subprocess, sys; subprocess.run({list(command)!r}, check=True, capture_output=True)"
    watch += "; print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    return int(_run([sys.executable, "-c", watch])) / (1 << (20 if sys.platform == "darwin" else 10))


def _run(command: Sequence[str]) -> str:
    environment = os.environ | {"KERAS_BACKEND": keras.backend.backend()}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
