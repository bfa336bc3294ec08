"""The commands that study an InFlow beyond its scores."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from keras_ood.cli import completion
from keras_ood.cli.computing import computing, load
from keras_ood.cli.console import Json, Model, in_distribution, locate, prepare, show, table
from keras_ood.tables.records import write_records

Out = Annotated[Path | None, typer.Option("--out", "-o", help="Write the rows as CSV.")]


def set_level(
    model: Model,
    ood: Annotated[
        list[str],
        typer.Option(help="OOD set, repeatable: data set or synthetic set.", autocompletion=completion.data_sets),
    ],
    sets: Annotated[int, typer.Option(min=1, help="Sets of each kind.")] = 100,
    out_file: Out = None,
    as_json: Json = False,
) -> None:
    """Test images as sets, and run InFlow's published protocol beside the per-image score.

    Example: keras-ood set-level inflow-cifar10-pixels --ood gtsrb
    """
    with computing():
        from keras_ood.evaluation.studies import set_level as study

        folder, ood = locate(model), list(dict.fromkeys(ood))
        detector, inside = load(folder), in_distribution(folder)
        study.check(detector, inside, ood)
        prepare(out_file)
        measure = study.SetLevel(detector, inside, sets)
        rows = list(measure.rejections(ood))
        protocols = [asdict(protocol) for protocol in measure.protocols(ood)]
        if out_file:
            write_records(out_file, [asdict(row) for row in rows])

        def tabulate() -> Group:
            title = escape(f"{model}: share of {sets} sets rejected at 5 %")
            rejected = Table("images", "drawn", "set of", "OOD share", "rejected", title=title)
            for row in rows:
                rejected.add_row(row.images, row.drawn, str(row.size), f"{row.ratio:.0%}", f"{row.rejected:.2f}")
            return Group(rejected, table(protocols, "AUROC over images, OOD positive"), Text(study.WHY, style="dim"))

        value = {"preset": model, "rejections": [asdict(row) for row in rows], "protocols": protocols}
        show(value, as_json, tabulate)


def attack(
    model: Model,
    count: Annotated[int, typer.Option(min=50, help="Images to attack.")] = 300,
    runs: Annotated[Path, typer.Option(help="Where the attacked classifier is kept.")] = Path("runs"),
    out_file: Out = None,
    as_json: Json = False,
) -> None:
    """Attack a small classifier and see whether the detector notices; one of the attacks knows the detector.

    Example: keras-ood attack inflow-fashion-mnist-pixels --count 200
    """
    with computing():
        from keras_ood.evaluation.studies import adversarial

        folder = locate(model)
        prepare(out_file, runs)
        rows, accuracy = adversarial.measure(load(folder), in_distribution(folder), runs, count)
        records = [asdict(row) for row in rows]
        if out_file:
            write_records(out_file, records)
        title = f"{model}: AUROC, attacked positive; classifier {accuracy:.1%} accurate"
        value = {"preset": model, "classifier_accuracy": accuracy, "attacks": records}
        show(value, as_json, lambda: table(records, title))
