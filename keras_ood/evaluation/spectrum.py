"""The whole spectrum of images that a detector meets: its own, mildly corrupted, foreign, and too simple."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_ood import datasets
from keras_ood.datasets.named import check_names, named_images
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
    check_names(out_of_distribution)
    own, labels = _some(*datasets.load(inside, "test"), images)
    for level in LEVELS:
        detector.threshold(level)  # refuses one out of reach before any image is scored

    def scored(seen: Any) -> _Scored:
        seen = seen if detector.entrance.feature_space is None else detector.entrance.embed(seen, progress=progress)
        parts = list(detector.iterate_p_values(seen, progress=progress))
        return _Scored(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    test = scored(own)
    mild = {name: scored(datasets.corrupt(name, own[: len(own) // least], MILD)) for name in datasets.CORRUPTIONS}
    full = np.concatenate([test.scores, *(part.scores for part in mild.values())])

    def of_a_set(kind: str, name: str, found: _Scored) -> SpectrumRow:
        usual, whole = (detection_metrics(against, found.scores) for against in (test.scores, full))
        numbers = {"auroc": usual["auroc"], "auroc_full": whole["auroc"]}
        return _row(kind, name, found, **numbers, fpr95=usual["fpr95"], fpr95_full=whole["fpr95"])

    rows = [_row("test", inside, test)]
    rows += [_row("class", name, test[of_it]) for name, of_it in _classes(inside, labels).items()]
    for name, found in mild.items():
        usual = detection_metrics(test.scores, found.scores)
        rows.append(_row("mild", name, found, auroc=usual["auroc"], fpr95=usual["fpr95"]))
    by_class: list[SpectrumRow] = []
    for name in out_of_distribution:
        if name == CLASSES_OF.get(inside):
            foreign, foreign_labels = datasets.load(name, "test")
            found = scored(foreign)
            by_class = [of_a_set("ood class", one, found[of_it]) for one, of_it in _classes(name, foreign_labels).items()]
        else:
            made = named_images(name, own[:out_images])
            found = scored(_some(made, np.zeros(len(made)), out_images)[0])
        rows.append(of_a_set("ood", name, found))
    unit = [of_a_set("unit", name, scored(datasets.synthesize(name, own[:UNITS]))) for name in UNIT]
    return [*rows, *by_class, *unit]


def _some(images: np.ndarray, labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """So many images, at most, and their labels, by a fixed shuffle."""
    chosen = np.random.default_rng(0).permutation(len(images))[:count]
    return images[chosen], labels[chosen]


def _classes(name: str, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Which images are of a class, by its name; nothing where all have one label."""
    found, titles = np.unique(labels), datasets.get(name).classes
    return {titles[label] if titles else str(label): labels == label for label in found} if len(found) > 1 else {}


def _row(kind: str, name: str, found: _Scored, **numbers: float) -> SpectrumRow:
    at_1, at_5 = (int(np.sum(found.p_values <= level)) for level in LEVELS)
    return SpectrumRow(kind, name, images=len(found.scores), flagged_at_1=at_1, flagged_at_5=at_5, **numbers)
