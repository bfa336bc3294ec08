"""What a detector of somebody's own images is measured on, and what its card says of that."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keras_ood import datasets
from keras_ood.datasets.named import named_images, named_sets
from keras_ood.datasets.synthetic import GENERATED, SYNTHETIC, applicable
from keras_ood.evaluation.evaluate import headline
from keras_ood.evaluation.report import Report
from keras_ood.images.checks import check_images
from keras_ood.images.sources import gather
from keras_ood.models import Detector
from keras_ood.models.entrance import Entrance
from keras_ood.terminal.progress import begin


def outside_sets(given: Any, entrance: Entrance) -> dict[str, Any]:
    """Return the sets to measure on beside the synthetic ones, looked at before anything is trained.

    Several networks read them.

    Raises:
        ValueError: A set that cannot be, or a synthetic set's name for another.
    """
    sets = {} if given is None or given == {} else named_sets(given)
    own = applicable(entrance.preprocessing.image_shape)
    made = {name: images for name, images in sets.items() if isinstance(images, str) and images in SYNTHETIC}
    wrong = [name for name in sets if (name in SYNTHETIC and made.get(name) != name) or made.get(name, own[0]) not in own]
    if wrong:
        raise ValueError(
            f"The synthetic sets {own} are measured anyway, under their names: other sets need other names. Received: {wrong}"
        )
    outside = {}
    for name, images in sets.items():
        if isinstance(images, Iterator):
            images = gather(images, entrance.preprocessing)
        elif not (isinstance(images, str) and images in GENERATED):
            images = named_images(images)
        if name not in SYNTHETIC:
            outside[name] = check_images(images) if isinstance(images, (np.ndarray, list)) else images
    return outside


def measured_sets(test: np.ndarray, outside: Mapping[str, Any], entrance: Entrance) -> dict[str, Any]:
    """Return the sets to measure on by name, synthetic ones first; over an encoder their embeddings.

    Args:
        test: In-distribution images that the synthetic sets are made from, `(N, height, width, channels)` in 0..1.
        outside: Of `outside_sets`.
        entrance: Of the detector.
    """
    levels = np.round(255 * test).astype(np.uint8)
    sets = {name: datasets.synthesize(name, levels) for name in applicable(levels.shape[1:])}
    sets |= {name: named_images(images, levels) for name, images in outside.items()}
    if entrance.feature_space is None:
        return sets
    embedded = {}
    for name, images in sets.items():
        begin(f"Measuring on {name} images")
        embedded[name] = entrance.embed(images)
    return embedded


def numbers(detector: Detector, reports: Mapping[str, Report]) -> dict[str, Any]:
    """Return what the card says beside the table: false alarms, AUROC, mean nll.

    Args:
        detector: The trained one.
        reports: Its report as `trained`, and those of other weights.
    """
    said = headline(detector, reports["trained"])
    losses = {name: float(np.mean(report.statistics["in_distribution"]["nll"])) for name, report in reports.items()}
    return said | {"test_nll": {name: round(loss, 4) for name, loss in losses.items()}}


def by_chance(detector: Detector, alarms: Mapping[str, Any]) -> list[float]:
    """Return the ends of the 95 % interval of the share of images flagged, over calibrations and test images.

    Args:
        detector: Calibrated with images that had no part in its fit; a cross-fitted one has no exact law.
        alarms: Its `false_positive_rate` among `numbers`.
    """
    law = detector.calibration().false_alarms(alarms["nominal"], alarms["images"])
    return [float(count) / alarms["images"] for count in law.interval(0.95)]
