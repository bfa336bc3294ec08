"""`keras-ood doctor`: what this installation is, and whether it works."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub.constants import HF_HUB_CACHE
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from keras_ood import datasets
from keras_ood.backend.devices import gpu_name
from keras_ood.backend.machine import describe_machine
from keras_ood.cli.computing import load
from keras_ood.encoders.efficientnet_lite0 import PACKAGE, read_weights
from keras_ood.encoders.embed import embeddings_folder
from keras_ood.hub import handles, preset
from keras_ood.terminal.errors import MENDABLE
from keras_ood.terminal.printable import printable

MODEL = "tilted-vae-digits"
_PACKAGES = ("keras", "tensorflow", "jax", "tensorflow-probability", "numpy", "scikit-learn", "Pillow", "huggingface_hub")


def examine() -> dict[str, Any]:
    """Return `{"checks": [{"what", "found", "works"}], "works": bool}`; a check that fails says why in `found`."""
    checks = []
    for what, check in _CHECKS.items():
        try:
            found, works = check(), True
        except MENDABLE as error:
            found, works = f"{type(error).__name__}: {error}", False
        checks.append({"what": what, "found": found, "works": works})
    return {"checks": checks, "works": all(check["works"] for check in checks)}


def render(result: dict[str, Any]) -> Group:
    """Return what `examine` gave as people read it, and paste it."""
    table = Table("", "what", "found", title="keras-ood doctor")
    for check in result["checks"]:
        mark = Text("✓", "green") if check["works"] else Text("✗", "red")
        table.add_row(mark, escape(check["what"]), escape(printable(check["found"])))
    verdict = "All of it works." if result["works"] else "Not all of it works."
    return Group(table, Text(f"{verdict} Paste this into a bug report."))


def _versions() -> str:
    return ", ".join(f"{name} {version}" for name, version in _installed())


def _installed() -> Iterator[tuple[str, str]]:
    for name in _PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "not installed"


def _zoo() -> str:
    names = handles.list_models()
    for name in filter(handles.embedded, names):
        folder = handles.resolve(name)
        preset.verify(folder, preset.read(folder))
    return f"{len(names)} presets, their files verified, in {handles.zoo_folder()}"


def _data() -> str:
    at_hand = [name for name, known in datasets.DATASETS.items() if known.at_hand or datasets.local_file(name, "test")]
    folder = os.environ.get("KERAS_OOD_DATA")
    where = f"in {folder}" if folder else "KERAS_OOD_DATA is not set"
    return f"{', '.join(at_hand)} at hand ({where}); others are downloaded when they are asked for"


def _encoder() -> str:
    count = sum(weight.size for weight in read_weights().values())
    return f"EfficientNet-Lite0, {count:,} numbers of {PACKAGE} {metadata.version(PACKAGE)}, SHA-256 as pinned"


def _folder(folder: str | Path) -> str:
    size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink())
    return f"{folder}, {size / 2**20:,.0f} MiB"


def _one_image() -> str:
    start = time.monotonic()
    detector = load(MODEL)
    images = np.zeros((1, *detector.image_shape), np.uint8)
    score, p_value = detector.score(images)[0], detector.p_values(images)[0]
    return f"{MODEL}: score {score:.4g}, p-value {p_value:.3g}, in {time.monotonic() - start:.1f} s"


_CHECKS: dict[str, Callable[[], str]] = {
    "keras-ood": lambda: f"{metadata.version('keras-ood')}, Python {platform.python_version()}, {platform.platform()}",
    "machine": describe_machine,
    "GPU": lambda: gpu_name() or "none: the CPU computes",
    "packages": _versions,
    "zoo": _zoo,
    "encoder": _encoder,
    "data sets": _data,
    "cache of the Hub": lambda: _folder(HF_HUB_CACHE),
    "cache of embeddings": lambda: _folder(embeddings_folder()),
    "one image": _one_image,
}
