"""The command `keras-ood`: thin, everything real lives in the package.

Exit codes: 0 done; 1 the work failed (bad images, a damaged preset, ...), with one line on standard error; 2 the command line
itself is wrong; 3 (`score --fail-on-ood`) an image was flagged.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from keras_ood import cli_benchmark, cli_hub, cli_score, cli_studies
from keras_ood.console import BatchSize, Model, err, errors_in_a_line, in_distribution, load, locate, out

app = typer.Typer(
    help="Out-of-distribution detection with pretrained, calibrated Keras models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("score")(cli_score.score)
app.command("list")(cli_hub.list_presets)
app.command("publish")(cli_hub.publish)
app.command("benchmark")(cli_benchmark.benchmark)
app.command("sweep")(cli_benchmark.sweep)
app.command("set-level")(cli_studies.set_level)
app.command("attack")(cli_studies.attack)


@app.command()
def info(model: Model) -> None:
    """Show what a preset is, how it was trained and what it reaches.

    Example: keras-ood info tilted-vae-digits
    """
    from keras_ood.hub import handles, preset

    with errors_in_a_line():
        folder = handles.resolve(model)
        content = preset.read(folder)
        preset.verify(folder, content)
        table = Table("field", "value", title=f"{model}: files verified")
        for key, value in content.items():
            if key not in ("files", "golden_scores"):
                text = ", ".join(f"{name} {item}" for name, item in value.items()) if isinstance(value, dict) else str(value)
                printable = ("".join(filter(str.isprintable, part)) for part in (key, text))  # a stranger wrote them
                table.add_row(*map(escape, printable))
        out.print(table)


@app.command()
def evaluate(
    model: Model,
    ood: Annotated[list[str], typer.Option(help="OOD set, repeatable: data set, synthetic set, folder or array file.")],
    inside: Annotated[
        str | None, typer.Option("--in", help="In-distribution images; the preset's test split if absent.")
    ] = None,
    methods: Annotated[list[str] | None, typer.Option("--method", "-m", help="Score, repeatable; all if absent.")] = None,
    out_file: Annotated[Path | None, typer.Option("--out", "-o", help="Write the rows as CSV.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Folder for ROC curves and score histograms.")] = None,
    batch_size: BatchSize = 256,
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
        table = Table("OOD set", "score", "images", "AUROC", "AUPR-in", "AUPR-out", "FPR95", title=f"{model}, in: {inside}")
        for row in report.rows:
            cells = [f"{getattr(row, name).value:.4f}" for name in ("aupr_in", "aupr_out", "fpr95")]
            auroc = f"{row.auroc.value:.4f} \\[{row.auroc.low:.4f}, {row.auroc.high:.4f}]"
            table.add_row(row.out_of_distribution, row.method, f"{row.in_images} + {row.out_images}", auroc, *cells)
        out.print(table)
        out.print(evaluation.CONVENTION, style="dim")
        if out_file:
            report.to_csv(out_file)
        if plots:
            from keras_ood import pictures

            pictures.save_report(detector, report, methods[0] if methods else None, plots)


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe.toml; the preset is written beside it.")],
    runs: Annotated[Path, typer.Option(help="Where checkpoints and finished seeds are kept.")] = Path("runs"),
) -> None:
    """Train, calibrate, measure and write a preset; a killed training goes on where it was.

    Example: keras-ood train zoo/tilted-vae-digits/recipe.toml
    """
    with errors_in_a_line():
        from keras_ood import training

        out.print(f"Wrote {training.train(recipe, runs)}")


@app.command()
def calibrate(
    model: Model,
    images: Annotated[list[str], typer.Argument(help="Held-out in-distribution images, as for `score`.", metavar="IMAGES...")],
    out_folder: Annotated[Path, typer.Option("--out", "-o", help="The new preset folder.")],
    batch_size: BatchSize = 256,
) -> None:
    """Calibrate a detector on your own in-distribution images and save it as a preset folder.

    Example: keras-ood calibrate tilted-vae-digits my_images/ --out my-detector
    """
    from keras_ood import tables

    with errors_in_a_line():
        detector = load(model)
        source, _ = tables.open_images(images, "raise")
        detector.calibrate(source, batch_size=batch_size)
        detector.save_pretrained(out_folder, calibrated_from=model)
        out.print(f"Calibrated on {len(source)} images; wrote {out_folder}. Next: keras-ood score {out_folder} IMAGES")


@app.command()
def demo(
    model: Model = "tilted-vae-digits",
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures.")] = Path("demo"),
) -> None:
    """Show a pretrained detector at work: a table of verdicts and pictures.

    Example: keras-ood demo
    """
    with errors_in_a_line():
        from keras_ood import demo as demonstration

        demonstration.run(model, folder, out)


def main() -> None:
    """Run the command line; Ctrl-C ends it with one line."""
    try:
        app()
    except KeyboardInterrupt:
        err.print("Stopped.")
        sys.exit(130)


if __name__ == "__main__":
    main()
