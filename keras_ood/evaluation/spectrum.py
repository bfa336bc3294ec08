"""The whole spectrum of images that a detector meets: its own, mildly corrupted, foreign, and too simple."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_ood import datasets
from keras_ood.datasets.named import named_images
from keras_ood.evaluation.metrics import detection_metrics
from keras_ood.evaluation.spectrum_row import LEVELS, SpectrumRow
from keras_ood.models import Detector
from keras_ood.terminal.numbers import is_whole

MILD = 1
"""Severity of the corruptions that are counted as in-distribution."""

UNIT = ("noise", "constant", *datasets.UNIT_IMAGES)
"""Synthetic sets that every detector should flag."""

CLASSES_OF = {"cifar10": "cifar100"}
"""The out-of-distribution set that is looked at class by class, by in-distribution set."""

UNITS = 100  # images of each set


@dataclass(frozen=True)
class _Scored:
    """Scores and p-values of images, `(N,)` each."""

    scores: np.ndarray
    p_values: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> "_Scored":
        return _Scored(self.scores[chosen], self.p_values[chosen])

    def row(self, kind: str, name: str, usual: np.ndarray | None = None, full: np.ndarray | None = None) -> SpectrumRow:
        """The row of a set, against in-distribution scores; None for no comparison."""
        at_1, at_5 = (int(np.sum(self.p_values <= level)) for level in LEVELS)
        auroc, fpr95 = self._against(usual)
        auroc_full, fpr95_full = self._against(full)
        return SpectrumRow(kind, name, len(self.scores), at_1, at_5, auroc, auroc_full, fpr95, fpr95_full)

    def _against(self, inside: np.ndarray | None) -> tuple[float | None, float | None]:
        if inside is None:
            return None, None
        metrics = detection_metrics(inside, self.scores)
        return metrics["auroc"], metrics["fpr95"]


def spectrum(
    detector: Detector,
    inside: str,
    out_of_distribution: Sequence[str] = (),
    *,
    images: int = 5000,
    out_images: int = 1000,
    progress: bool | None = None,
) -> list[SpectrumRow]:
    """Measure a calibrated detector's default score at its own thresholds; each set of images is scored once.

    In-distribution are test images, by a fixed shuffle. Full-spectrum (Yang, Zhou, Liu, "Full-Spectrum Out-of-Distribution
    Detection", 2022) are they and as many mildly corrupted ones, each kind of `keras_ood.datasets.CORRUPTIONS` an equal part.

    Args:
        detector: Any detector, calibrated with at least 99 images for its default score.
        inside: Name of its data set.
        out_of_distribution: Names of data sets and synthetic sets beside the unit-test images, which are always measured. For
            `cifar10` all test images of `cifar100`, where it is among them, are also measured by class.
        images: Number of test images at most.
        out_images: Number of images of each out-of-distribution set at most.
        progress: As in `Detector.statistics`.

    Returns:
        Rows of the kinds `test`, `class`, `mild`, `ood`, `ood class` and `unit`, in that order.

    Raises:
        ValueError: A name that stands for nothing, too few calibration images, or a number of images that is none.
        NotCalibratedError: The detector is not calibrated.

    Examples:
        >>> import keras_ood
        >>> detector = keras_ood.from_pretrained("tilted-vae-digits")
        >>> rows = spectrum(detector, "digits", ["inverted"], images=100, progress=False)
        >>> [row.name for row in rows if row.kind == "mild"]
        ['gaussian_noise', 'gaussian_blur', 'contrast', 'brightness', 'jpeg']
    """
    least = len(datasets.CORRUPTIONS)
    if not (is_whole(images, least) and is_whole(out_images, 1)):
        raise ValueError(
            f"`images` must be a whole number of at least {least}, `out_images` of at least 1. "
            f"Received: {images!r} and {out_images!r}"
        )
    wrong = [name for name in out_of_distribution if name not in (*datasets.DATASETS, *datasets.GENERATED)]
    if wrong:
        raise ValueError(
            f"`out_of_distribution` are names of data sets, of {sorted(datasets.DATASETS)}, or of synthetic sets, of "
            f"{sorted(datasets.GENERATED)}. Received: {wrong}"
        )
    own, labels = datasets.load(inside, "test")
    chosen = _some(len(own), images)
    own, labels = own[chosen], labels[chosen]
    for level in LEVELS:
        detector.threshold(level)  # refuses one out of reach before any image is scored

    def scored(seen: Any) -> _Scored:
        seen = seen if detector.entrance.feature_space is None else detector.entrance.embed(seen, progress=progress)
        parts = list(detector.iterate_p_values(seen, progress=progress))
        return _Scored(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    test = scored(own)
    mild = {name: scored(datasets.corrupt(name, own[: len(own) // least], MILD)) for name in datasets.CORRUPTIONS}
    both = test.scores, np.concatenate([test.scores, *(found.scores for found in mild.values())])
    rows = [test.row("test", inside)]
    rows += [test[of_it].row("class", name) for name, of_it in _classes(inside, labels).items()]
    rows += [found.row("mild", name, test.scores) for name, found in mild.items()]
    by_class: list[SpectrumRow] = []
    for name in out_of_distribution:
        if name == CLASSES_OF.get(inside):
            foreign, foreign_labels = datasets.load(name, "test")
            found = scored(foreign)
            by_class = [found[of_it].row("ood class", one, *both) for one, of_it in _classes(name, foreign_labels).items()]
        else:
            made = named_images(name, own[:out_images])
            found = scored(made[_some(len(made), out_images)])
        rows.append(found.row("ood", name, *both))
    unit = [scored(datasets.synthesize(name, own[:UNITS])).row("unit", name, *both) for name in UNIT]
    return [*rows, *by_class, *unit]


def _some(total: int, count: int) -> np.ndarray:
    """Places of so many images, at most, by a fixed shuffle."""
    return np.random.default_rng(0).permutation(total)[:count]


def _classes(name: str, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Which images are of a class, by its name; nothing where all have one label."""
    found, titles = np.unique(labels), datasets.get(name).classes
    return {titles[label] if titles else str(label): labels == label for label in found} if len(found) > 1 else {}
