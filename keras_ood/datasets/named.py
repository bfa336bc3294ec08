"""Images by what a caller writes: a name, a path, or the images themselves."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from keras_ood.datasets.registry import DATASETS, load
from keras_ood.datasets.synthetic import GENERATED, synthesize
from keras_ood.images.sources import open_path
from keras_ood.terminal.names import did_you_mean

IN_DISTRIBUTION, OUT_OF_DISTRIBUTION = "in_distribution", "out_of_distribution"
"""How results name the in-distribution set, and the one set that came without a name."""


def named_images(images: Any, inside: Any = None) -> Any:
    """Return a named data set's test split, a synthetic set made from `inside`, a path opened, or `images` as they are."""
    check_names([images])
    if not isinstance(images, (str, os.PathLike)):
        return images
    if images in GENERATED:
        return synthesize(str(images), inside)
    return load(str(images), "test")[0] if images in DATASETS else open_path(images)


def check_names(names: Iterable[Any]) -> None:
    """Refuse a text that is neither a data set, nor a synthetic set, nor a path that exists, before any image is read.

    Raises:
        ValueError: There is one.
    """
    for name in names:
        is_text = isinstance(name, (str, os.PathLike))
        if is_text and name not in (*GENERATED, *DATASETS) and not (str(name) and Path(name).exists()):
            raise ValueError(
                f"Expected images, a path that exists, a data set of {sorted(DATASETS)} or a synthetic set of "
                f"{sorted(GENERATED)}.{did_you_mean(name, [*DATASETS, *GENERATED])} Received: {str(name)!r}"
            )


def named_sets(given: Any) -> dict[str, Any]:
    """Return out-of-distribution sets as `{name: what is named, a path, or images}`; nothing is read.

    Args:
        given: `{name: images}`, None for what the name stands for; a name or path, or a list of them; images, which become
            the one set `"out_of_distribution"`.

    Raises:
        ValueError: No set at all, a name that is no text or that of the in-distribution set, or one that stands for nothing.
    """
    if isinstance(given, (str, os.PathLike)):
        given = [given]
    if isinstance(given, (list, tuple)) and all(isinstance(name, (str, os.PathLike)) for name in given):
        given = dict.fromkeys(map(str, given))
    sets = dict(given) if isinstance(given, Mapping) else {OUT_OF_DISTRIBUTION: given}
    wrong = [name for name in sets if not isinstance(name, str) or name in ("", IN_DISTRIBUTION)]
    if wrong or not sets or given is None:
        raise ValueError(
            "Out-of-distribution sets are `{name: images}`, a name, a list of names, or images; at least one, and none named "
            f"{IN_DISTRIBUTION!r}, which is the set that they are compared with. Received: {wrong or given!r}"
        )
    sets = {name: name if images is None else images for name, images in sets.items()}
    check_names(sets.values())
    return sets
