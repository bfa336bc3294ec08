"""Images that belong together: of one photograph, video or day, never on both sides of a split."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_ood.images.image_files import ImageFiles

BY_FOLDER = "folder"


def group_labels(groups: Any, source: Any, count: int) -> np.ndarray:
    """Return a whole number for each image, equal for those that belong together.

    Args:
        groups: None: each image stands alone. `"folder"`: files of one folder belong together. Or labels, one an image.
        source: The images, all of them read already.
        count: How many there are.

    Raises:
        ValueError: Another number of labels, or folders of what is no files.
    """
    if groups is None:
        return np.arange(count)
    return np.unique(_labels(groups, source, count, str), return_inverse=True)[1]


def group_names(groups: Any, source: Any, count: int) -> np.ndarray:
    """Return the name of each image's group: its label, or the name of its folder wherever that stands.

    Args:
        groups: `"folder"`, or labels, one an image.
        source: As in `group_labels`.
        count: As in `group_labels`.

    Raises:
        ValueError: As `group_labels`.
    """
    return _labels(groups, source, count, lambda folder: folder.name).astype(str)


def _labels(groups: Any, source: Any, count: int, name_of: Callable[[Path], str]) -> np.ndarray:
    if isinstance(groups, str):
        if groups != BY_FOLDER or not isinstance(source, ImageFiles):
            raise ValueError(
                f"`groups` is None, labels, one an image, or {BY_FOLDER!r} where images are files. Received: {groups!r} with "
                f"{type(source).__name__}"
            )
        groups = [name_of(path.parent) for path in source.read_paths]
    labels = np.asarray(groups)
    if labels.shape != (count,):
        raise ValueError(f"`groups` has one label an image, {count} in all. Received: labels of shape {labels.shape}")
    return labels


def leave_out(count: int, folds: int, seed: int, groups: np.ndarray | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return indices of the images kept and of those left out for each fold; no group is in both.

    Args:
        count: Number of images.
        folds: Number of folds, each of as many groups as the others or one more.
        seed: Of the shuffle.
        groups: Labels, `(count,)`; None where each image stands alone.

    Raises:
        ValueError: Fewer groups than folds.
    """
    from sklearn.model_selection import KFold  # here: `import keras_ood` needs no scikit-learn

    names, of_image = np.unique(np.arange(count) if groups is None else groups, return_inverse=True)
    if len(names) < folds:
        raise ValueError(f"{folds} folds take at least as many groups of images. Received: {len(names)}")
    outs = (np.isin(of_image, out) for _, out in KFold(folds, shuffle=True, random_state=seed).split(names))
    return [(np.flatnonzero(~out), np.flatnonzero(out)) for out in outs]
