"""The commands that study an InFlow beyond its scores."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from keras_ood.console import Model, errors_in_a_line, in_distribution, load, locate, out

Out = Annotated[Path | None, typer.Option("--out", "-o", help="Write the rows as CSV.")]


def set_level(
    model: Model,
    ood: Annotated[list[str], typer.Option(help="OOD set, repeatable: data set or synthetic set.")],
    sets: Annotated[int, typer.Option(min=1, help="Sets of each kind.")] = 100,
    out_file: Out = None,
) -> None:
    """Test images as sets, and run InFlow's published protocol beside the per-image score.

    Example: keras-ood set-level inflow-cifar10 --ood gtsrb
    """
    from keras_ood.evaluation import write_records
    from keras_ood.studies import set_level as study

    with errors_in_a_line():
        folder = locate(model)
        measure = study.SetLevel(load(folder), in_distribution(folder), sets)
        rows = list(measure.rejections(ood))
        table = Table(
            "images", "drawn", "set of", "OOD share", "rejected", title=f"{model}: share of {sets} sets rejected at 5 %"
        )
        for row in rows:
            table.add_row(row.images, row.drawn, str(row.size), f"{row.ratio:.0%}", f"{row.rejected:.2f}")
        out.print(table)
        _print([asdict(protocol) for protocol in measure.protocols(ood)], "AUROC over images, OOD positive")
        out.print(study.WHY, style="dim")
        if out_file:
            write_records(out_file, [asdict(row) for row in rows])


def attack(
    model: Model,
    count: Annotated[int, typer.Option(min=50, help="Images to attack.")] = 300,
    runs: Annotated[Path, typer.Option(help="Where the attacked classifier is kept.")] = Path("runs"),
    out_file: Out = None,
) -> None:
    """Attack a small classifier and see whether the detector notices; one of the attacks knows the detector.

    Example: keras-ood attack inflow-fashion-mnist --count 200
    """
    from keras_ood.evaluation import write_records
    from keras_ood.studies import adversarial

    with errors_in_a_line():
        folder = locate(model)
        rows, accuracy = adversarial.measure(load(folder), in_distribution(folder), runs, count)
        records = [asdict(row) for row in rows]
        _print(records, f"{model}: AUROC, attacked positive; classifier {accuracy:.1%} accurate")
        if out_file:
            write_records(out_file, records)


def _print(records: list[dict[str, Any]], title: str) -> None:
    table = Table(*[key.replace("_", " ") for key in records[0]], title=title)
    for record in records:
        table.add_row(*[f"{value:.3f}" if isinstance(value, float) else str(value) for value in record.values()])
    out.print(table)
