"""The command that measures a detector."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from keras_ood.cli import completion
from keras_ood.cli.console import BatchSize, Json, Model, errors_in_a_line, in_distribution, load, locate, prepare, show
from keras_ood.cli.reading import Background, Frames, FramesOption, Reading, Unreadable, UnreadableOption, ValueRange
from keras_ood.tables.records import CONVENTION


def evaluate(
    model: Model,
    ood: Annotated[
        list[str],
        typer.Option(
            help="OOD set, repeatable: data set, synthetic set, folder or array file.",
            autocompletion=completion.data_sets,
        ),
    ],
    inside: Annotated[
        list[str] | None,
        typer.Option(
            "--in",
            help="In-distribution images, repeatable for folders and files; the preset's test split if absent.",
            autocompletion=completion.data_sets,
        ),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", help="Score, repeatable; all if absent.", autocompletion=completion.methods),
    ] = None,
    out_file: Annotated[Path | None, typer.Option("--out", "-o", help="Write the rows as CSV.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Folder for ROC curves and score histograms.")] = None,
    batch_size: BatchSize = 256,
    unreadable: UnreadableOption = Unreadable.RAISE,
    frames: FramesOption = Frames.FIRST,
    background: Background = "white",
    value_range: ValueRange = None,
    as_json: Json = False,
) -> None:
    """Measure a detector: AUROC, AUPR-in, AUPR-out, FPR95 per image, OOD positive.

    Example: keras-ood evaluate tilted-vae-fashion-mnist-pixels --ood mnist --ood noise
    """
    with errors_in_a_line():
        from keras_ood import evaluation
        from keras_ood.evaluation import pictures

        folder = locate(model)
        prepare(out_file, *([plots] if plots else []))
        detector = load(folder)
        reading = Reading(unreadable, background, frames, value_range)
        inside = inside or [in_distribution(folder)]
        title = ", ".join(inside)
        held_out = reading.open_set(inside[0]) if len(inside) == 1 else reading.open(inside)[0]
        outside = {name: reading.open_set(name) for name in ood}
        report = evaluation.evaluate(detector, held_out, outside, methods, batch_size=batch_size)
        if out_file:
            report.to_csv(out_file)
        if plots:
            pictures.save_report(detector, report, methods[0] if methods else None, plots)

        def tabulate() -> Group:
            heading = escape(f"{model}, in: {title}")
            table = Table("OOD set", "score", "images", "AUROC", "AUPR-in", "AUPR-out", "FPR95", title=heading)
            for row in report.rows:
                cells = [f"{getattr(row, name).value:.4f}" for name in ("aupr_in", "aupr_out", "fpr95")]
                auroc = f"{row.auroc.value:.4f} \\[{row.auroc.low:.4f}, {row.auroc.high:.4f}]"
                table.add_row(row.out_of_distribution, row.method, f"{row.in_images} + {row.out_images}", auroc, *cells)
            return Group(table, Text(f"{CONVENTION}{reading.words}", style="dim"))

        value = {"preset": model, "in_distribution": title, "rows": report.records()} | reading.omitted
        show(value, as_json, tabulate, f"keras-ood score {model} IMAGES")
