"""Images tested as sets: how often a set is rejected, and what that does to scores of single images.

Every number here is about sets and must not be compared with per-image numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from keras_ood import datasets
from keras_ood.attention import PerImageGate, SetGate
from keras_ood.datasets.named import check_names, named_images
from keras_ood.encoders import random_encoder
from keras_ood.encoders.random_encoder import SMALLEST
from keras_ood.evaluation.metrics import detection_metrics
from keras_ood.hub.content import Content
from keras_ood.hub.template import fill
from keras_ood.models import Detector
from keras_ood.tables.markdown import markdown_table
from keras_ood.tables.records import read_rows, write_records

CSV = "set_level.csv"
SIZES = (2, 10, 50, 250)
RATIOS = (1.0, 0.5, 0.1)
PUBLISHED_SIZE, PUBLISHED_REFERENCE = 250, 5000
OUT_OF_DISTRIBUTION = {"digits": ("noise",), "fashion_mnist": ("mnist", "blurred"), "cifar10": ("gtsrb", "cifar100")}
WHY = (
    "They differ because the published protocol asks whether a batch of 250 images, all of one kind, was drawn like the "
    "reference, gives all of them the same attention, and lets no in-distribution image meet the gate: its AUROC restates the "
    "batch test. The per-image score decides about each image alone, and in-distribution images meet the gate like all others."
)

_TEMPLATE = Path(__file__).with_name("set_level.md.jinja")


@dataclass(frozen=True)
class SetRow:
    """Sets of one kind under one gate.

    Attributes:
        gate: Whose features the test compares.
        images: The out-of-distribution set; the in-distribution set itself where `ratio` is 0.
        drawn: `mixed` (images drawn at random) or `class-pure` (all of one class).
        size: Images in a set.
        ratio: Share of out-of-distribution images in a set.
        sets: How many were tested.
        rejected: Share of sets with `p <= alpha`.
    """

    gate: str
    images: str
    drawn: str
    size: int
    ratio: float
    sets: int
    rejected: float


@dataclass(frozen=True)
class Protocol:
    """One out-of-distribution set under the published protocol and under honest ones; AUROC over images, OOD positive.

    Attributes:
        images: The out-of-distribution set.
        published: Batches of 250 consecutive images of one kind; in-distribution images get c = 1 without a test.
        published_against_itself: The same, with the in-distribution test images, class by class, as "out-of-distribution".
        set_level: In-distribution batches are shuffled and tested as the others are.
        per_image: The detector's score, each image alone.
        plain_flow: The score at c = 1.
    """

    images: str
    published: float
    published_against_itself: float
    set_level: float
    per_image: float
    plain_flow: float


@dataclass(frozen=True)
class _Scored:
    """Images under one gate: their features, their nll at c = 1, at c = 0, and at their own attention."""

    features: np.ndarray
    opened: np.ndarray
    closed: np.ndarray
    gated: np.ndarray

    def in_sets(self, gate: SetGate, order: np.ndarray) -> np.ndarray:
        """The nll of the images in this order, each at the attention of its batch of 250 consecutive ones."""
        return set_scores(gate, self.features[order], self.opened[order], self.closed[order], PUBLISHED_SIZE)


class SetLevel:
    """Set-level measurements of an InFlow with a per-image gate.

    Args:
        detector: Its gate's encoder and reference are used for the sets.
        inside: Name of the in-distribution data set; its test split and labels are used.
        sets: How many sets of each kind.
        seed: Seed of all draws.
    """

    def __init__(self, detector: Detector, inside: str, sets: int = 100, seed: int = 0) -> None:
        self.gate = required_gate(detector).set_gate()
        self.detector, self.inside, self.sets = detector, inside, sets
        self.images, self.labels = datasets.load(inside, "test")
        self._plain, self._closed = detector.with_attention(None), detector.with_attention(0.0)
        self._random = np.random.default_rng(seed)

    def rejections(
        self, out_of_distribution: Sequence[str], sizes: Sequence[int] = SIZES, ratios: Sequence[float] = RATIOS
    ) -> Iterator[SetRow]:
        """Yield the share of rejected sets: in-distribution mixed and class-pure, then each OOD set at each ratio.

        No row for a size and ratio that a set has too few images for.
        """
        inside = self.gate.features(self.images)
        by_class = [inside[self.labels == label] for label in np.unique(self.labels)]
        for size in sizes:
            yield self._row(self.inside, "mixed", size, 0.0, [self._draw(inside, size) for _ in range(self.sets)])
            classes = [members for members in by_class if len(members) >= size]
            if classes:
                chosen = self._random.integers(0, len(classes), self.sets)
                yield self._row(self.inside, "class-pure", size, 0.0, [self._draw(classes[number], size) for number in chosen])
        for name in out_of_distribution:
            outside = self.gate.features(named_images(name, self.images))
            for size in sizes:
                for ratio in ratios:
                    count = round(ratio * size)
                    if 0 < count <= len(outside):
                        parts = [(self._draw(outside, count), self._draw(inside, size - count)) for _ in range(self.sets)]
                        yield self._row(name, "mixed", size, count / size, [np.concatenate(part) for part in parts])

    def protocols(self, out_of_distribution: Sequence[str]) -> Iterator[Protocol]:
        """Yield the published protocol for each out-of-distribution set, beside the honest ones.

        The reference is the first 5,000 in-distribution training images.
        """
        reference_images = datasets.load(self.inside, "train")[0][:PUBLISHED_REFERENCE]
        gate = SetGate.from_encoder(random_encoder(self.detector.image_shape), reference_images)
        ins = self._scored(gate, self.images)
        by_class = ins.in_sets(gate, np.argsort(self.labels, kind="stable"))
        for name in out_of_distribution:
            outside = named_images(name, self.images)
            shuffled = ins.in_sets(gate, self._random.permutation(len(self.images)))
            outs = self._scored(gate, outside)
            out_sets = outs.in_sets(gate, np.arange(len(outs.opened)))
            yield Protocol(
                images=name,
                published=auroc(ins.opened, out_sets),
                published_against_itself=auroc(ins.opened, by_class),
                set_level=auroc(shuffled, out_sets),
                per_image=auroc(ins.gated, outs.gated),
                plain_flow=auroc(ins.opened, outs.opened),
            )

    def _scored(self, gate: SetGate, images: Any) -> "_Scored":
        scores = (detector.score(images, "nll") for detector in (self._plain, self._closed, self.detector))
        return _Scored(gate.features(images), *scores)

    def _row(self, images: str, drawn: str, size: int, ratio: float, sets: list[np.ndarray]) -> SetRow:
        rejected = [self.gate.test_features(features, seed).p_value <= self.gate.alpha for seed, features in enumerate(sets)]
        return SetRow("trained encoder", images, drawn, size, round(ratio, 3), len(sets), float(np.mean(rejected)))

    def _draw(self, features: np.ndarray, size: int) -> np.ndarray:
        return np.asarray(features[self._random.choice(len(features), size, replace=False)])


def required_gate(detector: Detector) -> PerImageGate:
    """Return a detector's per-image gate; refuse detectors without one."""
    gate: PerImageGate | None = detector.gate
    if gate is not None and gate.encoder is None:
        raise ValueError(f"The study is one of pixels. Received: an {type(detector).__name__} over an encoder")
    if gate is None:
        raise ValueError(f"The study needs an InFlow with a per-image gate. Received: {type(detector).__name__}")
    return gate


def set_scores(gate: SetGate, features: np.ndarray, opened: np.ndarray, closed: np.ndarray, size: int) -> np.ndarray:
    """Return `opened` scores of images whose set of `size` consecutive ones passes the gate, `closed` scores of the others.

    Images after the last full set join it.
    """
    scores = np.array(opened)
    starts = range(0, max(len(features) - size + 1, 1), size)
    for start in starts:
        chosen = slice(start, start + size if start != starts[-1] else len(features))
        if gate.test_features(features[chosen], seed=start).p_value <= gate.alpha:
            scores[chosen] = closed[chosen]
    return scores


def auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    """Return the area under the ROC curve of scores, out-of-distribution positive."""
    return detection_metrics(inside, outside)["auroc"]


def check(detector: Detector, inside: str, out_of_distribution: Sequence[str] | None = None) -> None:
    """Refuse what has no gate, images too small for the published encoder, and sets that are none.

    Args:
        detector: As in `SetLevel`.
        inside: As in `SetLevel`.
        out_of_distribution: Names of sets; None for those of the study, see `keras_ood.evaluation.studies`.
    """
    required_gate(detector)
    if min(detector.image_shape[:2]) < SMALLEST:
        raise ValueError(
            f"The published encoder takes images of at least {SMALLEST}x{SMALLEST}. Received: {detector.image_shape}"
        )
    if out_of_distribution is None and inside not in OUT_OF_DISTRIBUTION:
        raise ValueError(f"The study `set_level` is of {sorted(OUT_OF_DISTRIBUTION)}. Received: {inside!r}")
    check_names(out_of_distribution or ())


def study(detector: Detector, inside: str, folder: Path, runs: Path) -> dict[str, Any]:
    """Measure a preset and write `set_level.csv`; see `keras_ood.evaluation.studies`."""
    measure = SetLevel(detector, inside)
    names = OUT_OF_DISTRIBUTION[inside]
    write_records(folder / CSV, [asdict(row) for row in measure.rejections(names)])
    return {"protocol": [asdict(protocol) for protocol in measure.protocols(names)]}


def section(folder: Path, content: Content) -> str | None:
    """Return what a preset's card says of the study; see `keras_ood.evaluation.studies`."""
    if "set_level" not in content:
        return None
    rows = read_rows(folder / CSV, SetRow)
    protocols = [Protocol(**protocol) for protocol in content["set_level"]["protocol"]]
    computed = {
        "sets": rows[0].sets,
        "rejections": _rejection_table(rows),
        "protocols": _protocol_table(protocols),
        "why": WHY,
    }
    return fill(_TEMPLATE, computed)


def _rejection_table(rows: Sequence[SetRow]) -> str:
    sizes = list(dict.fromkeys(row.size for row in rows))
    kinds: dict[str, dict[int, str]] = {}
    for row in rows:
        kind = f"in-distribution, {row.drawn}" if row.ratio == 0 else f"{row.images}, {row.ratio:.0%} of the images"
        kinds.setdefault(kind, {})[row.size] = f"{row.rejected:.2f}"
    header = ["sets of", *(f"{size} images" for size in sizes)]
    return markdown_table(header, [[kind, *(cells.get(size, "-") for size in sizes)] for kind, cells in kinds.items()])


def _protocol_table(protocols: Sequence[Protocol]) -> str:
    names = [field.name for field in fields(Protocol) if field.name != "images"]
    header = ["AUROC over images", *(name.replace("_", " ") for name in names)]
    return markdown_table(header, [[row.images, *(f"{getattr(row, name):.4f}" for name in names)] for row in protocols])
