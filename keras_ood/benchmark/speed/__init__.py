"""How fast this is, as ratios taken in one run: `keras-ood benchmark --speed`."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import keras

from keras_ood.backend.machine import describe_machine
from keras_ood.benchmark.speed import accelerator, costly, encoders, passes, process
from keras_ood.benchmark.speed.comparison import Comparison
from keras_ood.benchmark.speed.rivals import Rivals
from keras_ood.tables.markdown import markdown_table

__all__ = ["Comparison", "Rivals", "file", "lost", "measure", "read", "table", "write"]


def measure(images: int, rivals: Rivals | None = None) -> Iterator[Comparison]:
    """Yield every comparison on the active backend as it is measured.

    Args:
        images: Number of images of the larger file, whose peak memory is measured.
        rivals: Another framework's networks, for rows against them; None leaves those rows out.
    """
    yield from passes.comparisons(rivals)
    yield from encoders.comparisons(rivals)
    yield from costly.comparisons()
    yield from accelerator.comparisons(rivals)
    yield from process.comparisons(images)


def file(folder: Path) -> Path:
    """Return where the ratios of the active backend are kept."""
    return folder / f"speed-{keras.backend.backend()}.json"


def write(folder: Path, rows: list[Comparison]) -> Path:
    """Keep the rows, with the machine's name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = file(folder)
    content = {"machine": describe_machine(), "comparisons": [asdict(row) for row in rows]}
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def read(path: Path) -> tuple[str, list[Comparison]]:
    """Return the machine and the rows that `write` kept."""
    content = json.loads(path.read_text())
    return content["machine"], [Comparison(**row) for row in content["comparisons"]]


def lost(rows: list[Comparison], kept: list[Comparison]) -> list[str]:
    """Return the names of the rows whose ratio is worse than the kept one by more than its allowance.

    Seconds are not compared: another machine may be slower, but not in one way alone.
    """
    before = {row.name: row for row in kept}
    return [row.name for row in rows if row.name in before and row.worse_than(before[row.name])]


def table(folder: Path) -> str:
    """Return a Markdown table: the ratios of every backend that was measured."""
    measured = {path.stem.removeprefix("speed-"): read(path) for path in sorted(folder.glob("speed-*.json"), reverse=True)}
    names = list(dict.fromkeys(row.name for _, rows in measured.values() for row in rows))
    lines = []
    for name in names:
        found = {backend: row for backend, (_, rows) in measured.items() for row in rows if row.name == name}
        lines.append([name, *(f"{found[backend].ratio:.2f}" if backend in found else "-" for backend in measured)])
    machines = "; ".join(f"{backend}: {machine}" for backend, (machine, _) in measured.items())
    return f"{markdown_table(['', *measured], lines)}\n\nMeasured on {machines}."
