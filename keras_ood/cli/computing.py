"""What the commands that compute share: Keras, started without a word, and detectors."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_ood.cli.console import errors_in_a_line, locate

_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@contextmanager
def computing(stopped: str = "") -> Iterator[None]:
    """Run a command's work that takes Keras, imported here; what JAX compiles is kept for the next command.

    Args:
        stopped: As in `errors_in_a_line`, which this is besides.
    """
    with errors_in_a_line(stopped):
        with _without_start_up_lines():
            import keras
        if keras.backend.backend() == "jax":
            _keep_compilations()
        yield


def load(model: str | Path) -> Any:
    """Return the detector of a handle."""
    import keras_ood

    return keras_ood.from_pretrained(locate(model))


@contextmanager
def _without_start_up_lines() -> Iterator[None]:
    """Import TensorFlow without what it writes meanwhile, unless the user asks for all of it with TF_CPP_MIN_LOG_LEVEL=0.

    Its libraries write some lines to the file descriptor itself before they look at that level (tensorflow/tensorflow#100442).
    They are shown after all where the import fails.
    """
    if os.environ.setdefault(_LOG_LEVEL, "2") == "0" or "tensorflow" in sys.modules:
        yield
        return
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as lines:
        os.dup2(lines.fileno(), 2)
        try:
            yield
        except BaseException:
            lines.seek(0)
            os.write(stderr, lines.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _keep_compilations() -> None:
    """Let JAX keep what it compiles, unless the user has said where; of a cold start much is small functions, so those too."""
    import jax

    if jax.config.jax_compilation_cache_dir is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "keras-ood" / "jax"
        jax.config.update("jax_compilation_cache_dir", str(cache))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
