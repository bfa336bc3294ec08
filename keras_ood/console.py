"""What the commands share: where they print, how they fail, what they take."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

out, err = Console(), Console(stderr=True)

Model = Annotated[str, typer.Argument(help="Zoo name (see `keras-ood list`) or preset folder.", metavar="MODEL")]


@contextmanager
def errors_in_a_line() -> Iterator[None]:
    """Print errors that a user can mend as one line, and exit with 1."""
    try:
        yield
    except (ValueError, OSError, RuntimeError, ArithmeticError) as error:
        err.print(f"[red]Error:[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from None


def load(model: str) -> Any:
    """Return the detector of a handle."""
    import keras_ood

    return keras_ood.from_pretrained(model)


def in_distribution(model: str) -> str:
    """Return the data set that a preset names as its own."""
    from keras_ood.hub import handles, preset

    described = preset.read(handles.resolve(model)).get("in_distribution")
    if not described:
        raise ValueError(
            f"This preset names no data set: `evaluate` takes images with --in, studies need the name. Received: {model!r}"
        )
    return str(described["name"])
