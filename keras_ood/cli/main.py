"""The command `keras-ood`: thin, everything real lives in the package.

Exit codes: 0 done; 1 the work failed (bad images, a damaged preset, ...), with one line on standard error; 2 the command line
itself is wrong; 3 (`score --fail-on-ood`) an image was flagged, or
(`monitor --fail-on-alarm`) the alarm was raised; 130 Ctrl-C.
"""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from keras_ood.cli.app import serve
from keras_ood.cli.benchmark import benchmark, sweep
from keras_ood.cli.computing import computing
from keras_ood.cli.console import Json, Model, command, errors_in_a_line, locate, show, table
from keras_ood.cli.evaluate import evaluate
from keras_ood.cli.export import export
from keras_ood.cli.finetune import finetune
from keras_ood.cli.hub import list_presets, publish
from keras_ood.cli.monitor import monitor
from keras_ood.cli.score import score
from keras_ood.cli.studies import attack, set_level
from keras_ood.cli.training import calibrate, train
from keras_ood.hub import preset
from keras_ood.hub.content import promised
from keras_ood.terminal.printable import printable

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
    with errors_in_a_line():
        folder = locate(model)
        content = preset.read(folder)
        preset.verify(folder, content)
        told = content | {"promised": promised(content)}
        show(told, as_json, lambda: _fields(model, told), command("score", model, "IMAGES"))


def _fields(model: str, content: Mapping[str, object]) -> Table:
    table = Table("field", "value", title=f"{escape(printable(model))}: files verified")
    for key, value in content.items():
        if key not in ("files", "golden_scores"):
            text = ", ".join(f"{name} {item}" for name, item in value.items()) if isinstance(value, dict) else str(value)
            table.add_row(*(escape(printable(part)) for part in (key, text)))
    return table


def demo(
    model: Model = "tilted-vae-digits",
    on_photographs: Annotated[
        bool,
        typer.Option("--photographs", help="Make a detector of sample photographs, of landmarks, in place of MODEL."),
    ] = False,
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures.")] = Path("demo"),
    as_json: Json = False,
) -> None:
    """Show a detector at work, a pretrained one or one of photographs: a table of verdicts and pictures.

    Example: keras-ood demo
    """
    with computing():
        from keras_ood.cli import demo as demonstration

        result = demonstration.run_on_photographs(folder) if on_photographs else demonstration.run(model, folder)
        show(result, as_json, lambda: demonstration.render(result), command("score", result["preset"], "YOUR_IMAGES/"))


def photographs(
    folder: Annotated[Path, typer.Argument(help="Where to write them: absent or empty.")] = Path("photographs"),
    as_json: Json = False,
) -> None:
    """Get photographs to try the commands on: landmarks, what is near them, and what is far. 44 MB are downloaded, once.

    Example: keras-ood photographs
    """
    with computing():
        from keras_ood import datasets

        found = datasets.photographs(folder)
        sets = {part.name: sum(path.is_file() for path in part.rglob("*")) for part in sorted(found.iterdir()) if part.is_dir()}
        value = {"folder": str(folder), "sets": sets, "licences": str(folder / "LICENCES.txt")}
        rows = [{"set": f"{folder / name}/", "photographs": count} for name, count in sets.items()]
        show(
            value,
            as_json,
            lambda: Group(table(rows, "Sample photographs"), Text(f"Licences, of each file: {value['licences']}")),
            command("finetune", "--data", folder / "landmarks", "--ood", folder / "animals", "--out", "landmarks-detector"),
        )


def doctor(as_json: Json = False) -> None:
    """Show what this installation is and whether it works: for a bug report.

    Example: keras-ood doctor
    """
    with computing():
        from keras_ood.cli import doctor as diagnosis

        result = diagnosis.examine()
        show(result, as_json, lambda: diagnosis.render(result))
        if not result["works"]:
            raise typer.Exit(1)


app.command("list")(list_presets)
app.command("info")(info)
app.command("score")(score)
app.command("monitor")(monitor)
app.command("evaluate")(evaluate)
app.command("demo")(demo)
app.command("photographs")(photographs)
app.command("calibrate")(calibrate)
app.command("train")(train)
app.command("finetune")(finetune)
app.command("export")(export)
app.command("publish")(publish)
app.command("benchmark")(benchmark)
app.command("sweep")(sweep)
app.command("set-level")(set_level)
app.command("attack")(attack)
app.command("doctor")(doctor)
app.command("app")(serve)


def main() -> None:
    """Run the command line."""
    app()
