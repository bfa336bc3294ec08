"""What the commands share: where they print, how they fail, what they take."""

import functools
import shlex
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

from keras_ood.calibration.not_calibrated_error import NotCalibratedError
from keras_ood.cli import completion
from keras_ood.hub import handles, preset
from keras_ood.images.image_warning import ImageWarning
from keras_ood.tables.records import finite, writable
from keras_ood.terminal.errors import MENDABLE
from keras_ood.terminal.printable import printable

INTERRUPTED = 130
"""Exit code after Ctrl-C."""

_PIPE = 10_000  # columns


def open_console(stderr: bool = False) -> Console:
    """Return a console that is as wide as the terminal; in a pipe or a file nothing is cut, wrapped or coloured."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else _PIPE)


out, err = open_console(), open_console(stderr=True)

Model = Annotated[
    str,
    typer.Argument(
        help="Zoo name (see `keras-ood list`), preset folder, or user/repo on the Hugging Face Hub.",
        metavar="MODEL",
        autocompletion=completion.models,
    ),
]

Method = Annotated[
    str | None,
    typer.Option("--method", "-m", help="Score; the preset's default where not given.", autocompletion=completion.methods),
]

BatchSize = Annotated[int, typer.Option("--batch-size", "-b", min=1, help="Images per pass.")]

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]


@contextmanager
def errors_in_a_line(stopped: str = "") -> Iterator[None]:
    """Run a command's work: an error that a user can mend is one line and exit code 1, Ctrl-C is one line and 130.

    Meanwhile standard output belongs to `out`: what libraries print goes to standard error, and what the package says of images
    that it does not read is a line there.

    Args:
        stopped: What Ctrl-C leaves and how to go on, where the interrupt itself does not say it.
    """
    out.file = sys.stdout
    try:
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("always", ImageWarning)
            warnings.showwarning = functools.partial(_show_warning, warnings.showwarning)
            yield
    except (typer.Exit, BrokenPipeError):  # Typer's to handle
        raise
    except KeyboardInterrupt as interrupt:
        _end_progress(interrupt)
        err.print(f"\nStopped. {str(interrupt) or stopped}".rstrip(), soft_wrap=True, markup=False, highlight=False)
        raise typer.Exit(INTERRUPTED) from None
    except MENDABLE as error:
        _end_progress(error)
        uncalibrated = isinstance(error, NotCalibratedError)
        fail(error, "keras-ood calibrate MODEL IMAGES --out FOLDER [--method SCORE] [--maps]" if uncalibrated else "")


def _show_warning(show: Callable[..., None], message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    if issubclass(category, ImageWarning):
        err.print(f"[yellow]Warning:[/] {escape(printable(str(message)))}", soft_wrap=True, highlight=False)
    else:
        show(message, category, *place, **more)


def _end_progress(error: BaseException) -> None:
    """Let go of what an error's frames hold: a bar that is shown ends with its generator or its callback."""
    for raised in (error, error.__context__):
        if raised is not None:
            traceback.clear_frames(raised.__traceback__)


def fail(error: Exception, following: str = "") -> NoReturn:
    """Print an error as a line and the command to try next, and exit with 1."""
    words = "\n".join(map(printable, str(error).splitlines()))
    err.print(f"[red]Error:[/] {escape(words)}", soft_wrap=True)
    suggest(following)
    raise typer.Exit(1) from None


def suggest(following: str) -> None:
    """Name the command to try next, on standard error."""
    if following:
        err.print(f"Next: {printable(following)}", style="dim", soft_wrap=True, markup=False, highlight=False)


def command(*words: object) -> str:
    """Return a command of this program as a shell takes it, whatever is in the names of folders."""
    return shlex.join(["keras-ood", *map(str, words)])


def same_command() -> str:
    """Return how to go on with work that keeps what is finished."""
    return f"What is finished is kept. Go on: {command(*sys.argv[1:])}"


def show(value: Any, as_json: bool, render: Callable[[], RenderableType], following: str = "") -> None:
    """Print a command's result on standard output.

    Args:
        value: The result as mappings, sequences, strings, numbers and None.
        as_json: Print it as one JSON document, NaN and infinity as null.
        render: Makes what people read in its place; a string is printed as it is.
        following: The command that people may try next.
    """
    if as_json:
        out.print_json(data=finite(value), ensure_ascii=True)
        return
    result = render()
    out.print(result, markup=False, soft_wrap=isinstance(result, str))
    suggest(following)


def table(records: Sequence[Mapping[str, Any]], title: str) -> Table:
    """Return a table of rows of equal keys."""
    shown = Table(*(name.replace("_", " ") for name in (records[0] if records else ())), title=escape(printable(title)))
    for record in records:
        shown.add_row(*(escape(printable(_cell(value))) for value in record.values()))
    return shown


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def locate(model: str | Path) -> Path:
    """Return the preset folder of a handle: what is read of it twice is read of one commit."""
    try:
        return handles.resolve(model)
    except preset.PresetError:
        raise
    except ValueError as error:
        fail(error, "keras-ood list")


def prepare(file: Path | None, *folders: Path) -> None:
    """Refuse a file or a folder that could not be written, before what it shall hold is worked out."""
    if file is not None and (file.is_dir() or not file.parent.is_dir()):
        raise OSError(f"Results need the name of a file, whose folder must exist. Received: {file}")
    for folder in (*([] if file is None else [file.parent]), *folders):
        writable(folder)


def in_distribution(folder: Path) -> str:
    """Return the data set that a preset names as its own."""
    described = preset.read(folder).get("in_distribution", {})
    if "name" not in described:
        raise ValueError(
            f"This preset names no data set: `evaluate` takes images with --in, studies need the name. Received: {folder}"
        )
    return str(described["name"])
