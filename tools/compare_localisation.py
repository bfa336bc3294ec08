"""Where is it odd: maps of a flow conditioned on an attention, of PatchCore, PaDiM and others, on the same features.

For each in-distribution set, three drawn textures, three photographs where `--photographs` has them, and traffic signs where
`KERAS_OOD_DATA` has them, every method is made from the same training images, calibrated with the same held-out ones, and
measured on the same clean and damaged test images. Writes `localisation.csv`; sets that it has are not measured again.
`--report PAGE` puts the tables of the file into a page of the documentation and measures nothing.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import keras
import numpy as np
from localisation_peers import PEERS, SMOOTHING
from PIL import Image
from scipy import ndimage
from sklearn.metrics import roc_auc_score
from table_file import begun, marks

from keras_ood import datasets
from keras_ood.attention import PerImageGate
from keras_ood.backend.machine import describe_machine
from keras_ood.backend.optimizers import cosine_adam
from keras_ood.benchmark.localisation import HEAD, RAW, SMOOTHED, STANDARDISED, cells, column_mean
from keras_ood.benchmark.localisation import groups as grouped
from keras_ood.benchmark.localisation import sets as measured_sets
from keras_ood.calibration.map_calibration import MapCalibration
from keras_ood.datasets import DEFECTS, TEXTURES, damage
from keras_ood.encoders import MapEncoder, MapSpace
from keras_ood.encoders.embed import in_memory
from keras_ood.evaluation.localisation import localisation
from keras_ood.images.embeddings import Embeddings
from keras_ood.images.preprocessing import resize
from keras_ood.models import InFlow, TiltedVAE
from keras_ood.tables.records import write_records

PHOTOGRAPHS = ("brick", "grass", "gravel")  # of scikit-image, 512x512, CC0
SEEN = 192  # height and width of what the encoder sees
FPR = 0.05
FIRST_SEED = 100  # of the defects; smaller ones were looked at while settings were chosen
MARKS = marks(__file__)


class Sizes(NamedTuple):
    """How much is measured with: images, and epochs."""

    training: int = 700
    calibration: int = 300
    test: int = 300
    damaged: int = 40  # of each kind
    epochs: int = 8
    vae_epochs: int = 20


QUICK = Sizes(100, 150, 36, 4, 1, 1)


@dataclass(frozen=True)
class Images:
    """A set's images, uint8 `(N, side, side, 3)` each."""

    training: np.ndarray
    calibration: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Seen:
    """Images, and their features of the encoder as embeddings and as `(N, h, w, channels)`."""

    images: np.ndarray
    embeddings: Embeddings
    features: np.ndarray

    def first(self, count: int) -> "Seen":
        """The first of them."""
        return Seen(self.images[:count], self.embeddings[:count], self.features[:count])


@dataclass(frozen=True)
class Tested:
    """What all methods are measured with; `kinds` and `masks` are of `test`, a kind is empty for a clean image."""

    training: Seen
    calibration: Seen
    test: Seen
    kinds: np.ndarray
    masks: np.ndarray
    encoder_ms: float


class Method(Protocol):
    """A way to say where an image is odd; `smoothing` is the deviation of a Gaussian over its maps, in shares of the side."""

    smoothing: float

    @property
    def numbers(self) -> int:
        """How many numbers it keeps, without the encoder."""

    def maps(self, seen: Seen) -> np.ndarray:
        """Return scores at positions, `(N, h, w)`."""

    def images(self, seen: Seen, maps: np.ndarray, fine: np.ndarray) -> np.ndarray:
        """Return the score of each image, of its map at positions and at pixels."""

    def standardised_images(self, seen: Seen, maps: np.ndarray, fine: np.ndarray) -> np.ndarray:
        """Return the same of standardised maps."""


class OverFeatures:
    """One of `localisation_peers.PEERS`."""

    smoothing = SMOOTHING

    def __init__(self, peer: Any) -> None:
        """Wrap it."""
        self.peer, self.numbers = peer, int(peer.numbers)

    def maps(self, seen: Seen) -> np.ndarray:
        """See `Method`."""
        return np.asarray(self.peer.maps(seen.features))

    def images(self, seen: Seen, maps: np.ndarray, fine: np.ndarray) -> np.ndarray:
        """See `Method`."""
        return np.asarray(self.peer.images(seen.features, maps, fine))

    def standardised_images(self, seen: Seen, maps: np.ndarray, fine: np.ndarray) -> np.ndarray:
        """See `Method`."""
        return np.asarray(self.peer.standardised_images(maps, fine))


class Flow:
    """An InFlow over feature maps, settled; its image score is `peak`, of its raw map the largest value."""

    smoothing = 0.0

    def __init__(self, detector: InFlow) -> None:
        """Take a detector."""
        self.detector = detector
        self.numbers = sum(int(np.prod(weight.shape)) for weight in detector.own_weights())

    def maps(self, seen: Seen) -> np.ndarray:
        """See `Method`."""
        return self.detector.score_map(seen.embeddings, progress=False)

    def images(self, seen: Seen, maps: np.ndarray, fine: np.ndarray) -> np.ndarray:
        """See `Method`."""
        return np.asarray(maps.max(axis=(1, 2)))

    def standardised_images(self, seen: Seen, maps: np.ndarray, fine: np.ndarray) -> np.ndarray:
        """See `Method`."""
        return np.asarray(self.detector.score(seen.embeddings, "peak", progress=False))


class Reconstruction:
    """Squared errors of a VAE of pixels; an image's score is the largest value of its map."""

    smoothing = 0.0

    def __init__(self, detector: TiltedVAE) -> None:
        """Take a detector."""
        self.detector, self.numbers = detector, int(detector.count_params())

    def maps(self, seen: Seen) -> np.ndarray:
        """See `Method`."""
        return self.detector.score_map(seen.images, progress=False)

    def images(self, seen: Seen, maps: np.ndarray, fine: np.ndarray) -> np.ndarray:
        """See `Method`."""
        return np.asarray(maps.max(axis=(1, 2)))

    def standardised_images(self, seen: Seen, maps: np.ndarray, fine: np.ndarray) -> np.ndarray:
        """See `Method`."""
        return np.asarray(maps.max(axis=(1, 2)))


def main() -> None:
    """Measure and write the table, or report it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=Path, help="folder of brick.png, grass.png and gravel.png; left out without")
    parser.add_argument("--quick", action="store_true", help="few images and one epoch: to see that it runs")
    arguments, table, rows = begun(parser, "localisation.csv", MARKS, report)
    sizes = QUICK if arguments.quick else Sizes()
    for name, make in sets(arguments.photographs, sizes).items():
        if name not in {row["in_distribution"] for row in rows}:
            keras.utils.set_random_seed(0)
            rows += measure(name, make(), sizes)
            write_records(table, rows)


def sets(photographs: Path | None, sizes: Sizes) -> dict[str, Callable[[], Images]]:
    """Return what makes the images of each set that is there."""
    found: dict[str, Callable[[], Images]] = {name: lambda name=name: texture(name, sizes) for name in TEXTURES}  # type: ignore[misc]
    if datasets.local_file("gtsrb", "train") is not None:
        found["gtsrb"] = lambda: signs(sizes)
    if photographs is not None:
        found |= {name: lambda name=name: crops(photographs / f"{name}.png", sizes) for name in PHOTOGRAPHS}  # type: ignore[misc]
    return found


def texture(name: str, sizes: Sizes) -> Images:
    """Return drawn photographs of a material; the last of a fixed shuffle of the training split are for calibration."""
    images, test = (datasets.load(name, part)[0] for part in ("train", "test"))
    order = np.random.default_rng(0).permutation(len(images))
    return Images(images[order[: sizes.training]], images[order[-sizes.calibration :]], test[: sizes.test])


def crops(file: Path, sizes: Sizes, side: int = 128) -> Images:
    """Return pieces of one photograph: of its left half, its top right and its bottom right quarter; pieces overlap."""
    photo = np.asarray(Image.open(file).convert("RGB"))
    middle = len(photo) // 2
    parts = (photo[:, :middle], photo[:middle, middle:], photo[middle:, middle:])
    made = []
    for seed, (part, count) in enumerate(zip(parts, sizes[:3], strict=True)):
        places = np.random.default_rng(seed).integers(0, np.array(part.shape[:2]) - side + 1, (count, 2))
        made.append(np.stack([part[top : top + side, left : left + side] for top, left in places]))
    return Images(*made)


def signs(sizes: Sizes, side: int = 64) -> Images:
    """Return traffic signs; those for calibration are of the training split, whose tracks are not those of the test split."""
    training, test = (datasets.load("gtsrb", part)[0] for part in ("train", "test"))
    count = 1_000 if sizes == Sizes() else sizes.training
    some = training[np.random.default_rng(0).permutation(len(training))[: count + sizes.calibration]]
    others = test[np.random.default_rng(0).permutation(len(test))[: sizes.test]]
    larger = [
        np.stack([np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR)) for image in images])
        for images in (some, others)
    ]
    return Images(larger[0][:count], larger[0][count:], larger[1])


def damaged(test: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return so many damaged images for each kind of defect, their kinds and masks; each is of another test image.

    An image in which a defect of a kind cannot be seen is passed over.
    """
    images: list[np.ndarray] = []
    kinds: list[str] = []
    masks: list[np.ndarray] = []
    for number, kind in enumerate(DEFECTS):
        places = iter(range(number, len(test), len(DEFECTS)))
        while kinds.count(kind) < count:
            place = next(places)
            try:
                made, mask = damage(kind, test[place : place + 1], FIRST_SEED + place)
            except ValueError:
                continue
            images.append(made[0])
            masks.append(mask[0])
            kinds.append(kind)
    return np.stack(images), np.array(kinds), np.stack(masks)


def measure(name: str, images: Images, sizes: Sizes) -> list[dict[str, Any]]:
    """Return a row for each method and kind of map."""
    keras.utils.set_random_seed(0)
    flow = feature_flow(images)
    tested = prepared(images, flow, sizes)
    rows: list[dict[str, Any]] = []
    ours = flows(flow, tested, sizes)
    peers = others(images, tested, sizes)
    for method_name, method, seconds, calibration in chain(peers, ours):  # one after the other: the flow is trained meanwhile
        known = {"in_distribution": name, "method": method_name, "seconds_to_make": round(seconds, 1)}
        found = measured(method, tested, calibration)
        nll = round(float(method.maps(tested.calibration).mean()), 3) if isinstance(method, Flow) else ""
        rows += [known | row | {"held_out_nll": nll} for row in found]
        print(*(f"{key}={value}" for key, value in rows[-1].items() if key != "machine"), flush=True)
    core = {key: rows[0][key] for key in ("ms", "ms_with_encoder")}
    assert rows[0]["method"] == "PatchCore"
    ratios = [{f"{key}_of_patchcore": round(row[key] / core[key], 3) for key in core} for row in rows]
    return [row | ratio | {"machine": describe_machine()} for row, ratio in zip(rows, ratios, strict=True)]


def feature_flow(images: Images) -> InFlow:
    """Return an untrained flow over feature maps of such images."""
    space = MapSpace(MapEncoder("efficientnet-lite0", (SEEN, SEEN, 3)), memory=50)
    return InFlow(images.test.shape[1:], "feature_maps", encoder=space, gate_positions=True)


def prepared(images: Images, flow: InFlow, sizes: Sizes) -> Tested:
    """Return all images with their features."""
    odd, kinds, masks = damaged(images.test, sizes.damaged)
    clean = len(images.test)
    grid = flow.feature_space.encoder.grid

    def seen(given: np.ndarray) -> Seen:
        embeddings = flow.entrance.embed(given)
        return Seen(given, embeddings, embeddings.values().reshape(len(given), *grid, -1))

    training, calibration, test = seen(images.training), seen(images.calibration), seen(np.concatenate([images.test, odd]))
    all_masks = np.concatenate([np.zeros((clean, *masks.shape[1:]), bool), masks])
    with in_memory():
        encoder_ms = milliseconds(lambda: flow.entrance.embed(images.test[:64]), 64)
    return Tested(training, calibration, test, np.append([""] * clean, kinds), all_masks, encoder_ms)


def milliseconds(work: Callable[[], Any], count: int) -> float:
    """Return the time an image of the best of five turns."""
    turns = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        turns.append(time.perf_counter() - start)
    return 1000 * min(turns) / count


def others(images: Images, tested: Tested, sizes: Sizes) -> Iterator[tuple[str, Method, float, Seen]]:
    """Yield the peers: name, method, the seconds it took to make, what calibrates it."""
    for name, make in PEERS.items():
        start = time.perf_counter()
        method = OverFeatures(make(tested.training.features))
        yield name, method, time.perf_counter() - start, tested.calibration
    start = time.perf_counter()
    vae = TiltedVAE((64, 64, 3), latent_dim=64, tilt=20.0)
    vae.compile(optimizer=cosine_adam(1e-3, len(images.training), 32, sizes.vae_epochs))
    vae.fit(images.training, epochs=sizes.vae_epochs, batch_size=32, verbose=0)
    yield "VAE of pixels, squared error", Reconstruction(vae), time.perf_counter() - start, tested.calibration


def flows(flow: InFlow, tested: Tested, sizes: Sizes) -> Iterator[tuple[str, Method, float, Seen]]:
    """Yield the flow untrained, trained, and with its attention; a third of the calibration images is the gate's own."""
    start = time.perf_counter()
    training = tested.training.embeddings
    flow.feature_space.fit(training)
    flow.settle(training)
    yield "flow, untrained", Flow(flow), time.perf_counter() - start, tested.calibration
    start = time.perf_counter()
    flow.compile(optimizer=cosine_adam(1e-3, len(training), 16, sizes.epochs))
    flow.fit(training, epochs=sizes.epochs, batch_size=16, verbose=0)
    flow.settle(training)
    trained = time.perf_counter() - start
    yield "flow without attention", Flow(flow), trained, tested.calibration
    start = time.perf_counter()
    own = len(tested.calibration.images) // 3
    held_out = tested.calibration.embeddings[:own]
    fitted_to, held_against = flow.feature_space.gate_features(training, held_out, positions=True)
    gate = PerImageGate.from_features(fitted_to, held_against, reference=20, components=64, alpha=0.2, mode="soft")
    conditioned = flow.with_attention(gate)
    conditioned.settle(training)
    rest = tested.calibration
    rest = Seen(rest.images[own:], rest.embeddings[own:], rest.features[own:])
    yield "flow with attention", Flow(conditioned), trained + time.perf_counter() - start, rest


def measured(method: Method, tested: Tested, calibration: Seen) -> Iterator[dict[str, Any]]:
    """Yield a row for each kind of map."""
    seen, side = tested.test, tested.masks.shape[1]
    maps = method.maps(seen)
    calibrated = MapCalibration.of(method.maps(calibration))
    standardised = calibrated.standardised(maps)
    flagged = (calibrated.p_values(standardised[tested.kinds == ""]) <= FPR).any(axis=(1, 2)).mean()
    part = seen.first(64)
    ms = milliseconds(lambda: method.maps(part), 64)
    beside = 0 if isinstance(method, Reconstruction) else tested.encoder_ms
    known = {"flagged": round(float(flagged), 4), "ms": round(ms, 3), "ms_with_encoder": round(ms + beside, 3)}
    known |= {"numbers": method.numbers}
    fine = at_pixels(maps, side, method.smoothing)
    yield agreement(RAW, fine, method.images(seen, maps, fine), tested) | known
    fine = at_pixels(standardised, side, method.smoothing)
    scores = method.standardised_images(seen, standardised, fine)
    yield agreement(STANDARDISED, fine, scores, tested) | known
    if isinstance(method, Flow):
        yield agreement(SMOOTHED, at_pixels(standardised, side, SMOOTHING), scores, tested) | known


def at_pixels(maps: np.ndarray, side: int, smoothing: float) -> np.ndarray:
    """Return maps `(N, side, side)`, between the positions bilinear, under a Gaussian of a deviation in shares of the side."""
    fine = np.asarray(keras.ops.convert_to_numpy(resize(np.asarray(maps, np.float32)[..., None], (side, side))))[..., 0]
    return ndimage.gaussian_filter(fine, (0, smoothing * side, smoothing * side)) if smoothing else fine


def agreement(kind_of_map: str, fine: np.ndarray, scores: np.ndarray, tested: Tested) -> dict[str, Any]:
    """Return what a map and an image score are worth."""
    found = localisation(fine, tested.masks)
    row: dict[str, Any] = {"map": kind_of_map, "image_auroc": roc_auc_score(tested.kinds != "", scores)}
    row |= {"pixel_auroc": found["pixel_auroc"], "pro": found["pro"]}
    for kind in DEFECTS:
        chosen = np.isin(tested.kinds, ("", kind))
        row[kind] = roc_auc_score(tested.kinds[chosen] == kind, scores[chosen])
    return {key: value if isinstance(value, str) else round(float(value), 4) for key, value in row.items()}


def report(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the tables of rows as Markdown: means over the sets, each metric by set, and the images' by defect."""
    names, groups = measured_sets(rows), grouped(rows)
    means = [cells(group) for group in groups.values()]
    parts = [f"Means over {', '.join(names)}; of times medians:\n\n{_table(HEAD, groups, means)}"]
    plain = {found: group for found, group in groups.items() if found[1] != SMOOTHED}
    for title, key in (("PRO", "pro"), ("Pixel AUROC", "pixel_auroc"), ("Image AUROC", "image_auroc")):
        parts.append(f"{title} by set:\n\n{_table(names, plain, _by_set(plain, names, key, '.3f'))}")
    defects = [[f"{column_mean(group, kind):.3f}" for kind in DEFECTS] for group in plain.values()]
    kinds = [kind.replace("_", " ") for kind in DEFECTS]
    parts.append(f"Image AUROC by defect, means over the sets:\n\n{_table(kinds, plain, defects)}")
    whole = {(found[0], "all"): group for found, group in groups.items() if found[1] == RAW}
    parts.append(f"Share of clean images flagged by set:\n\n{_table(names, whole, _by_set(whole, names, 'flagged', '.3f'))}")
    ours = {found: group for found, group in whole.items() if group[0]["held_out_nll"] != ""}
    densities = _by_set(ours, names, "held_out_nll", ".1f")
    parts.append(f"Mean nll of held-out images, nats a position:\n\n{_table(names, ours, densities)}")
    machines = "; ".join(dict.fromkeys(row["machine"] for row in rows))
    return "\n\n" + "\n".join([*parts, f"Measured on {machines}.\n\n"])


def _by_set(groups: Mapping[Any, Sequence[Mapping[str, Any]]], names: Sequence[str], key: str, form: str) -> list[list[str]]:
    found = [{row["in_distribution"]: float(row[key]) for row in group} for group in groups.values()]
    return [[format(values[name], form) if name in values else "-" for name in names] for values in found]


def _table(head: Sequence[str], groups: Mapping[tuple[str, str], Any], cells: Sequence[Sequence[str]]) -> str:
    lines = [["method", "map", *head], ["---"] * (len(head) + 2)]
    lines += [[*names, *values] for names, values in zip(groups, cells, strict=True)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
