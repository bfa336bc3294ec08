"""Whether a detector notices images that were changed to fool a classifier."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy.stats import median_abs_deviation

from keras_ood import datasets
from keras_ood.attention import PerImageGate
from keras_ood.backend.compiled import gradient
from keras_ood.evaluation.attacks import deepfool, fgsm, pgd
from keras_ood.evaluation.studies.set_level import auroc, required_gate, set_scores
from keras_ood.hub.content import Content
from keras_ood.hub.template import fill
from keras_ood.models import Detector
from keras_ood.networks.classifier import train_classifier
from keras_ood.tables.markdown import markdown_table
from keras_ood.tables.records import read_rows, write_records

CSV = "adversarial.csv"
STRENGTHS = (2, 8, 16)  # of 255 grey levels
ADAPTIVE_STEPS = 40
EVASION = 1.0  # weight of the detector's statistics against the classifier's margin
MARGIN = 2.0  # logits by which the adaptive attack wants to win
SET_SIZE = 50

_TEMPLATE = Path(__file__).with_name("adversarial.md.jinja")


@dataclass(frozen=True)
class AdversarialRow:
    """One attack at one strength.

    Attributes:
        attack: Its name; `adaptive PGD` knows the detector and differentiates through its gate.
        strength: Largest change of a number, in 1/255; None for the minimal-norm attack.
        images: How many were attacked; the classifier is right about all of them before.
        fooled: Share that it puts into a wrong class afterwards, rounded to 256 grey levels.
        change: Mean Euclidean norm of the change, in units of 0..1.
        plain_flow: AUROC of the flow's nll at c = 1, clean against attacked images, attacked positive.
        per_image: AUROC of the detector's nll, each image with its own attention.
        gate_alone: AUROC of the gate's distance.
        set_level: AUROC of the nll where 50 images share the attention of their set; not a per-image number.
    """

    attack: str
    strength: int | None
    images: int
    fooled: float
    change: float
    plain_flow: float
    per_image: float
    gate_alone: float
    set_level: float


class Adversarial:
    """Attacks on a classifier, seen by an InFlow with a per-image gate.

    Args:
        detector: Whose image shape is that of the data set.
        classifier: From images in 0..1 to logits.
        images: uint8 images that the classifier is right about, `(N, *image_shape)`.
        labels: Labels of the images.
        clean: Other uint8 images of the same kind, to compare with.
    """

    def __init__(self, detector: Detector, classifier: keras.Model, images: np.ndarray, labels: np.ndarray, clean: Any) -> None:
        self.gate = _gate_of(detector, images.shape[1:]).set_gate()
        self.detector, self.classifier = detector, classifier
        self.images, self.labels = images / np.float32(255), labels.astype("int32")
        self._plain, self._closed = detector.with_attention(None), detector.with_attention(0.0)
        self._clean = self._measure(clean)
        self._center = {name: float(np.median(self._clean[name])) for name in ("per_image", "gate_alone")}
        self._scale = {name: float(median_abs_deviation(self._clean[name], scale="normal")) for name in self._center}

    def rows(self, strengths: tuple[int, ...] = STRENGTHS) -> Iterator[AdversarialRow]:
        """Yield every attack at every strength."""
        cross_entropy, evasion = gradient(self._cross_entropy), gradient(self._evasive_margin)
        attacks: dict[str, Callable[[float], np.ndarray]] = {
            "FGSM": lambda epsilon: fgsm(cross_entropy, self.images, self.labels, epsilon=epsilon),
            "PGD": lambda epsilon: pgd(cross_entropy, self.images, self.labels, epsilon=epsilon),
            "adaptive PGD": lambda epsilon: pgd(evasion, self.images, self.labels, epsilon=epsilon, steps=ADAPTIVE_STEPS),
        }
        for name, attack in attacks.items():
            for strength in strengths:
                yield self._row(name, strength, attack(strength / 255))
        yield self._row("DeepFool", None, deepfool(self.classifier, self.images))

    def _cross_entropy(self, images: Any, labels: Any) -> Any:
        return keras.losses.sparse_categorical_crossentropy(labels, self.classifier(images), from_logits=True)

    def _evasive_margin(self, images: Any, labels: Any) -> Any:
        """How far the classifier is wrong, up to MARGIN, less what the detector sees, in robust in-distribution deviations."""
        logits = self.classifier(images)
        own = ops.one_hot(labels, logits.shape[-1])
        margin = ops.max(logits - 1e9 * own, axis=-1) - ops.sum(logits * own, axis=-1)
        seen = self.detector(images)
        excess = [
            ops.relu((seen[statistic] - self._center[name]) / self._scale[name])
            for name, statistic in (("per_image", "nll"), ("gate_alone", "mahalanobis"))
        ]
        return ops.minimum(margin, MARGIN) - EVASION * (excess[0] + excess[1])

    def _measure(self, images: np.ndarray) -> dict[str, np.ndarray]:
        seen = self.detector.statistics(images)
        opened, closed = (detector.score(images, "nll") for detector in (self._plain, self._closed))
        together = set_scores(self.gate, self.gate.features(images), opened, closed, SET_SIZE)
        return {"plain_flow": opened, "per_image": seen["nll"], "gate_alone": seen["mahalanobis"], "set_level": together}

    def _row(self, attack: str, strength: int | None, attacked: np.ndarray) -> AdversarialRow:
        stored = np.round(attacked * 255).astype(np.uint8)  # an image file holds 256 levels; anything finer would be a giveaway
        predicted = np.argmax(ops.convert_to_numpy(self.classifier(stored / np.float32(255))), axis=-1)
        seen = self._measure(stored)
        return AdversarialRow(
            attack=attack,
            strength=strength,
            images=len(stored),
            fooled=float(np.mean(predicted != self.labels)),
            change=float(np.mean(np.sqrt(np.sum((stored / np.float32(255) - self.images) ** 2, axis=(1, 2, 3))))),
            **{name: auroc(self._clean[name], seen[name]) for name in seen},
        )


def measure(detector: Detector, inside: str, runs: Path, count: int = 300) -> tuple[list[AdversarialRow], float]:
    """Attack at most `count` test images and compare with as many others; also return the classifier's accuracy."""
    check(detector, inside)
    images, labels = datasets.load(inside, "test")
    classifier = train_classifier(inside, runs / f"classifier-{inside}")
    predicted = np.argmax(classifier.predict(images / np.float32(255), batch_size=256, verbose=0), axis=-1)
    right = np.random.default_rng(0).permutation(np.flatnonzero(predicted == labels))
    count = min(count, len(right) // 2)
    attacked, clean = right[:count], right[count : 2 * count]
    rows = list(Adversarial(detector, classifier, images[attacked], labels[attacked], images[clean]).rows())
    return rows, float(np.mean(predicted == labels))


def check(detector: Detector, inside: str) -> None:
    """Refuse what has no gate, and a data set of another shape; see `keras_ood.evaluation.studies`."""
    _gate_of(detector, datasets.get(inside).image_shape)


def _gate_of(detector: Detector, image_shape: tuple[int, ...]) -> PerImageGate:
    gate = required_gate(detector)
    if tuple(image_shape) != detector.image_shape:
        raise ValueError(f"Images must have the detector's shape {detector.image_shape}. Received: {tuple(image_shape)}")
    return gate


def study(detector: Detector, inside: str, folder: Path, runs: Path) -> dict[str, Any]:
    """Measure a preset and write `adversarial.csv`; see `keras_ood.evaluation.studies`."""
    rows, accuracy = measure(detector, inside, runs)
    write_records(folder / CSV, [asdict(row) for row in rows])
    return {"classifier_accuracy": accuracy, "set_size": SET_SIZE}


def section(folder: Path, content: Content) -> str | None:
    """Return what a preset's card says of the study; see `keras_ood.evaluation.studies`."""
    if "adversarial" not in content:
        return None
    rows = read_rows(folder / CSV, AdversarialRow)
    header = ["attack", "strength", "fooled", "mean change", "plain flow", "per image", "gate alone", "set level"]
    lines = [
        [
            row.attack,
            f"{row.strength}/255" if row.strength else "minimal norm",
            f"{row.fooled:.0%}",
            *(f"{number:.3f}" for number in (row.change, row.plain_flow, row.per_image, row.gate_alone, row.set_level)),
        ]
        for row in rows
    ]
    return fill(_TEMPLATE, content["adversarial"] | {"images": rows[0].images, "table": markdown_table(header, lines)})
