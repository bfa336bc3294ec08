"""The command `keras-ood`: thin, everything real lives in the package.

Exit codes: 0 done; 1 the work failed (bad images, a damaged preset, ...), with one line on standard error; 2 the command line
itself is wrong; 3 (`score --fail-on-ood`) an image was flagged; 130 Ctrl-C.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from keras_ood import (
    cli_app,
    cli_benchmark,
    cli_completion,
    cli_export,
    cli_finetune,
    cli_hub,
    cli_score,
    cli_studies,
    cli_training,
)
from keras_ood.console import BatchSize, Json, Model, errors_in_a_line, in_distribution, load, locate, printable, show

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"keras-ood {version('keras-ood')}")
        raise typer.Exit


@app.callback()
def start(
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Out-of-distribution detection with pretrained, calibrated Keras models."""


def info(model: Model, as_json: Json = False) -> None:
    """Show what a preset is, how it was trained and what it reaches.

    Example: keras-ood info tilted-vae-digits
    """
    from keras_ood.hub import preset

    with errors_in_a_line():
        folder = locate(model)
        content = preset.read(folder)
        preset.verify(folder, content)
        show(content, as_json, lambda: _described(model, content), f"keras-ood score {model} IMAGES")


def _described(model: str, content: dict[str, Any]) -> Table:
    table = Table("field", "value", title=f"{escape(model)}: files verified")
    for key, value in content.items():
        if key not in ("files", "golden_scores"):
            text = ", ".join(f"{name} {item}" for name, item in value.items()) if isinstance(value, dict) else str(value)
            table.add_row(*(escape(printable(part)) for part in (key, text)))
    return table


def evaluate(
    model: Model,
    ood: Annotated[
        list[str],
        typer.Option(
            help="OOD set, repeatable: data set, synthetic set, folder or array file.",
            autocompletion=cli_completion.data_sets,
        ),
    ],
    inside: Annotated[
        str | None,
        typer.Option(
            "--in",
            help="In-distribution images; the preset's test split if absent.",
            autocompletion=cli_completion.data_sets,
        ),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", help="Score, repeatable; all if absent.", autocompletion=cli_completion.methods),
    ] = None,
    out_file: Annotated[Path | None, typer.Option("--out", "-o", help="Write the rows as CSV.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Folder for ROC curves and score histograms.")] = None,
    batch_size: BatchSize = 256,
    as_json: Json = False,
) -> None:
    """Measure a detector: AUROC, AUPR-in, AUPR-out, FPR95 per image, OOD positive.

    Example: keras-ood evaluate tilted-vae-fashion-mnist --ood mnist --ood noise
    """
    from keras_ood import evaluation

    with errors_in_a_line():
        folder = locate(model)
        detector = load(folder)
        inside = inside or in_distribution(folder)
        report = evaluation.evaluate(detector, inside, dict.fromkeys(ood), methods, batch_size=batch_size)
        if out_file:
            report.to_csv(out_file)
        if plots:
            from keras_ood import pictures

            pictures.save_report(detector, report, methods[0] if methods else None, plots)

        def tabulated() -> Group:
            title = escape(f"{model}, in: {inside}")
            table = Table("OOD set", "score", "images", "AUROC", "AUPR-in", "AUPR-out", "FPR95", title=title)
            for row in report.rows:
                cells = [f"{getattr(row, name).value:.4f}" for name in ("aupr_in", "aupr_out", "fpr95")]
                auroc = f"{row.auroc.value:.4f} \\[{row.auroc.low:.4f}, {row.auroc.high:.4f}]"
                table.add_row(row.out_of_distribution, row.method, f"{row.in_images} + {row.out_images}", auroc, *cells)
            return Group(table, Text(evaluation.CONVENTION, style="dim"))

        value = {"preset": model, "in_distribution": inside, "rows": report.records()}
        show(value, as_json, tabulated, f"keras-ood score {model} IMAGES")


def demo(
    model: Model = "tilted-vae-digits",
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures.")] = Path("demo"),
    as_json: Json = False,
) -> None:
    """Show a pretrained detector at work: a table of verdicts and pictures.

    Example: keras-ood demo
    """
    with errors_in_a_line():
        from keras_ood import demo as demonstration

        result = demonstration.run(model, folder)
        show(result, as_json, lambda: demonstration.render(result), f"keras-ood score {model} YOUR_IMAGES/")


app.command("list")(cli_hub.list_presets)
app.command("info")(info)
app.command("score")(cli_score.score)
app.command("evaluate")(evaluate)
app.command("demo")(demo)
app.command("calibrate")(cli_training.calibrate)
app.command("train")(cli_training.train)
app.command("finetune")(cli_finetune.finetune)
app.command("export")(cli_export.export)
app.command("publish")(cli_hub.publish)
app.command("benchmark")(cli_benchmark.benchmark)
app.command("sweep")(cli_benchmark.sweep)
app.command("set-level")(cli_studies.set_level)
app.command("attack")(cli_studies.attack)
app.command("app")(cli_app.serve)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
