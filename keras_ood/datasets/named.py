"""Images by what a caller writes: a name, a path, or the images themselves."""

from pathlib import Path
from typing import Any

from keras_ood.datasets.registry import DATASETS, load
from keras_ood.datasets.synthetic import SYNTHETIC, synthesize
from keras_ood.images.sources import open_path


def named_images(images: Any, inside: Any = None) -> Any:
    """Return a named data set's test split, a synthetic set made from `inside`, a path opened, or `images` as they are."""
    if not isinstance(images, str):
        return images
    if images in SYNTHETIC:
        return synthesize(images, inside)
    if images in DATASETS:
        return load(images, "test")[0]
    if Path(images).exists():
        return open_path(images)
    raise ValueError(
        f"Expected images, a path that exists, a data set of {sorted(DATASETS)} or a synthetic set of "
        f"{sorted(SYNTHETIC)}. Received: {images!r}"
    )
