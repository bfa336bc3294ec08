"""What the commands share: where they print, how they fail, what they take."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

out, err = Console(), Console(stderr=True)

Model = Annotated[
    str,
    typer.Argument(
        help="Zoo name (see `keras-ood list`), preset folder, or user/repo on the Hugging Face Hub.", metavar="MODEL"
    ),
]

BatchSize = Annotated[int, typer.Option("--batch-size", "-b", min=1, help="Images per pass.")]


@contextmanager
def errors_in_a_line() -> Iterator[None]:
    """Print errors that a user can mend as one line, and exit with 1."""
    try:
        yield
    except (ValueError, OSError, RuntimeError, ArithmeticError) as error:
        err.print(f"[red]Error:[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from None


def load(model: str | Path) -> Any:
    """Return the detector of a handle; what JAX compiles for it is kept for the next command."""
    import keras

    import keras_ood

    if keras.backend.backend() == "jax":
        import jax

        if jax.config.jax_compilation_cache_dir is None:
            cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "keras-ood" / "jax"
            jax.config.update("jax_compilation_cache_dir", str(cache))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
    return keras_ood.from_pretrained(model)


def locate(model: str) -> Path:
    """Return the preset folder of a handle: what is read of it twice is read of one commit."""
    from keras_ood.hub import handles

    return handles.resolve(model)


def in_distribution(folder: Path) -> str:
    """Return the data set that a preset names as its own."""
    from keras_ood.hub import preset

    described = preset.read(folder).get("in_distribution")
    if not described:
        raise ValueError(
            f"This preset names no data set: `evaluate` takes images with --in, studies need the name. Received: {folder}"
        )
    return str(described["name"])
