"""How often a monitor alarms falsely, and how soon it notices a change, on real scores of presets of the zoo.

Streams are drawn from scores of test images and from the calibration that each preset ships. Writes `monitoring.csv`, a row for
each kind of stream and method:

- `exchangeable`: calibration and stream are drawn at random from all scores together, none twice, as the promise asks;
- `test images`: the shipped calibration, and test images in random order;
- `each frame twice`, `AR(1), 0.9`, `one class for 50 frames`, ...: streams of dependent frames, each with the scores of test
  images, all frames and thinned as `suggested_thinning` says of another such stream;
- `change`: after 1,000 test images a share of the images is of another data set.

Presets that the table has are not simulated again. `--report PAGE` puts the tables of the file into a page of the
documentation and measures nothing.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr
from table_file import begun, marks

import keras_ood
from keras_ood import datasets
from keras_ood.calibration.conformal import Calibration
from keras_ood.evaluation.metrics import exact_interval
from keras_ood.monitoring import ConformalMartingale, WindowedTest, suggested_thinning
from keras_ood.tables.markdown import markdown_table
from keras_ood.tables.records import write_records

PRESETS = {
    "tilted-vae-mnist-pixels": ("mnist", "fashion_mnist"),
    "inflow-fashion-mnist-pixels": ("fashion_mnist", "mnist"),
    "inflow-cifar10-pixels": ("cifar10", "gtsrb", "cifar100"),
    "inflow-cifar10": ("cifar10", "gtsrb", "cifar100"),
    "tilted-vae-gtsrb-pixels": ("gtsrb", "cifar10"),
}
"""Each preset's own data set, and others."""

DEPENDENT = "inflow-cifar10-pixels"
IMAGES = 4_000  # of each test split
ALPHA, CONFIDENCE = 0.05, 0.99
QUIET, AFTER = 1_000, 4_000  # images before a change, and that are waited for
SHARES = (1.0, 0.2, 0.05)
WINDOWS = (50, 250)
_BLOCK = 256
MARKS = marks(__file__)


class Sizes(NamedTuple):
    """How much is simulated: repetitions of streams, of those with a change, of windows; images that are bet on."""

    repetitions: int = 2_000
    delays: int = 200
    windows: int = 500
    changed_windows: int = 100
    bets: int = 4_000
    dependent_bets: int = 2_000
    calibration: int = 200


class Seen(NamedTuple):
    """What a preset makes of test images of a data set: scores and labels, `(N,)`; features of its gate, none without one."""

    scores: np.ndarray
    labels: np.ndarray
    features: np.ndarray


Drawn = tuple[Calibration, np.ndarray]
"""A calibration, and the scores of a stream."""


def main() -> None:
    """Simulate and write the table, or put it into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scores", type=Path, default=Path("build/monitoring"), help="folder where scores are kept")
    arguments, table, rows = begun(parser, "monitoring.csv", MARKS, report)
    for preset in [preset for preset in PRESETS if preset not in {row["preset"] for row in rows}]:
        for row in simulated(preset, arguments.scores, Sizes()):
            rows.append(row)
            print(row, flush=True)
        write_records(table, rows)


def simulated(preset: str, folder: Path, sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Yield the rows of a preset."""
    inside, *others = PRESETS[preset]
    detector = keras_ood.from_pretrained(preset)
    calibration = detector.calibration()
    seen = {name: images_of(detector, preset, name, folder) for name in (inside, *others)}
    own = seen[inside]
    known = {"preset": preset}
    every_score = np.concatenate([own.scores, calibration.scores])
    drawn = partial(together, every_score, sizes)
    yield known | false_alarms("exchangeable", p_values(drawn, sizes.repetitions))
    of_fixed = p_values(drawn, sizes.repetitions, growing=False)
    yield known | false_alarms("exchangeable", of_fixed) | {"method": "martingale, calibration alone"}
    drawn = partial(shipped, calibration, own.scores, sizes.bets)
    yield known | false_alarms("test images", p_values(drawn, sizes.repetitions))
    if preset == DEPENDENT:
        for stream, frames in DEPENDENT_FRAMES.items():
            suggested = suggested_thinning(frames(np.random.default_rng(1), own, 40_000, 1))
            for every in dict.fromkeys((1, suggested)):
                drawn = partial(dependent, frames, own, every, sizes)
                yield known | false_alarms(stream, p_values(drawn, sizes.repetitions), every)
    tests = [WindowedTest.from_detector(detector, window, ALPHA) for window in WINDOWS if own.features.size]
    for test in tests:
        yield known | windows(test, own.features, sizes.windows)
    for name in others:
        for share in SHARES:
            changed = {"stream": "change", "other": name, "share": share}
            drawn = partial(changing, calibration, own.scores, seen[name].scores, share)
            yield known | delays(p_values(drawn, sizes.delays)) | changed
            for test in tests:
                yield (known | windows_notice(test, own.features, seen[name].features, share, sizes.changed_windows) | changed)


def images_of(detector: Any, preset: str, name: str, folder: Path) -> Seen:
    """Return what a detector makes of test images, from the file where it was worked out before."""
    file = folder / f"{preset}.{name}.npz"
    if not file.exists():
        images, labels = datasets.load(name, "test")
        chosen = np.random.default_rng(0).permutation(len(images))[:IMAGES]
        images = images[chosen] if detector.feature_space is None else detector.entrance.embed(images[chosen])
        features = np.empty((len(images), 0))
        if detector.gate is not None:
            features = WindowedTest.from_detector(detector, 2, ALPHA).gate.features(images)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(file, scores=detector.score(images), labels=labels[chosen], features=features)
    with np.load(file) as kept:
        return Seen(**kept)


def together(scores: np.ndarray, sizes: Sizes, random: np.random.Generator) -> Drawn:
    """Calibration and stream of the same scores, none twice."""
    some = random.permutation(scores)[: sizes.calibration + sizes.bets]
    return Calibration(some[: sizes.calibration]), some[sizes.calibration :]


def shipped(calibration: Calibration, scores: np.ndarray, bets: int, random: np.random.Generator) -> Drawn:
    """A preset's calibration, and other images in random order."""
    return calibration, random.permutation(scores)[:bets]


def changing(calibration: Calibration, own: np.ndarray, others: np.ndarray, share: float, random: np.random.Generator) -> Drawn:
    """A preset's calibration, and images of which a share is of another kind from some moment on."""
    after = np.where(random.random(AFTER) < share, random.choice(others, AFTER), random.choice(own, AFTER))
    return calibration, np.concatenate([random.permutation(own)[:QUIET], after])


Frames = Callable[[np.random.Generator, Seen, int, int], np.ndarray]
"""Draws so many scores of dependent frames, every so-manyth of a stream; over all streams each has the law of `Seen.scores`."""


def dependent(frames: Frames, own: Seen, every: int, sizes: Sizes, random: np.random.Generator) -> Drawn:
    """A calibration of independent images, and dependent frames of the same kind."""
    return Calibration(random.choice(own.scores, sizes.calibration)), frames(random, own, sizes.dependent_bets, every)


def repeated(times: int) -> Frames:
    """Each frame so many times."""

    def draw(random: np.random.Generator, own: Seen, count: int, every: int) -> np.ndarray:
        shown = np.arange(count) * every // times
        return np.asarray(random.choice(own.scores, shown[-1] + 1)[shown])

    return draw


def autoregressive(correlation: float) -> Frames:
    """The quantiles of scores follow a normal AR(1) process: what is odd stays odd for a while."""

    def draw(random: np.random.Generator, own: Seen, count: int, every: int) -> np.ndarray:
        from scipy.signal import lfilter

        kept = correlation**every  # of every so-manyth: an AR(1) process too
        noise = random.standard_normal(count) * np.sqrt(1 - kept**2)
        noise[0] /= np.sqrt(1 - kept**2)
        quantiles = ndtr(lfilter([1], [1, -kept], noise))
        return np.asarray(np.sort(own.scores)[(quantiles * len(own.scores)).astype(int)])

    return draw


def by_class(length: int) -> Frames:
    """Random images of one class, for so many frames, then of another."""

    def draw(random: np.random.Generator, own: Seen, count: int, every: int) -> np.ndarray:
        runs = np.arange(count) * every // length
        classes = random.choice(own.labels, runs[-1] + 1)[runs]
        scores = np.empty(count, own.scores.dtype)
        for label in np.unique(classes):
            chosen = classes == label
            scores[chosen] = random.choice(own.scores[own.labels == label], chosen.sum())
        return scores

    return draw


DEPENDENT_FRAMES: dict[str, Frames] = {
    "each frame twice": repeated(2),
    "each frame 5 times": repeated(5),
    "each frame 30 times": repeated(30),
    "AR(1), 0.5": autoregressive(0.5),
    "AR(1), 0.9": autoregressive(0.9),
    "AR(1), 0.99": autoregressive(0.99),
    "one class for 50 frames": by_class(50),
}


def p_values(drawn: Callable[[np.random.Generator], Drawn], repetitions: int, growing: bool = True) -> np.ndarray:
    """Return the p-values of so many streams, `(repetitions, images)`; not `growing`: among the calibration alone."""
    every_stream = []
    for repetition in range(repetitions):
        random = np.random.default_rng([0, repetition])
        calibration, stream = drawn(random)
        every_stream.append(ranked(calibration.scores, stream, random.random(len(stream)), growing))
    return np.array(every_stream)


def ranked(pool: np.ndarray, stream: np.ndarray, uniform: np.ndarray, growing: bool = True) -> np.ndarray:
    """Return what a `RankedPool` gives one score after the other, `(images,)`, a block at a time."""
    parts = []
    for start in range(0, len(stream), _BLOCK):
        block = stream[start : start + _BLOCK]
        low, high = (np.searchsorted(pool, block, side) for side in ("left", "right"))
        above, equal, size = len(pool) - high, high - low, np.full(len(block), len(pool))
        if growing:
            earlier = np.tri(len(block), k=-1, dtype=bool)
            above = above + np.sum((block > block[:, None]) & earlier, axis=1)
            equal = equal + np.sum((block == block[:, None]) & earlier, axis=1)
            size += np.arange(len(block))
            pool = np.sort(np.concatenate([pool, block]))
        parts.append((above + uniform[start : start + _BLOCK] * (equal + 1)) / (size + 1))
    return np.concatenate(parts)


def first_alarms(p_values: np.ndarray, alpha: float = ALPHA) -> np.ndarray:
    """Return at which image of each stream the martingale reaches 1/alpha; the number of images where it never does."""
    streams, images = p_values.shape
    martingale = ConformalMartingale((streams,))
    first = np.full(streams, images)
    for image in range(images):
        reached = martingale.update(p_values[:, image]) >= -np.log(alpha)
        first[reached & (first == images)] = image
    return first


def _row(method: str, stream: str, images: int, repetitions: int, alarms: int) -> dict[str, Any]:
    """The columns of every row; false alarms with their exact interval (Clopper and Pearson)."""
    low, high = exact_interval(alarms, repetitions, CONFIDENCE)
    known = {"method": method, "stream": stream, "every": 1, "other": "", "share": "", "images": images, "alpha": ALPHA}
    shares = {"false_alarms": alarms / repetitions, "low": low, "high": high}
    return known | {"repetitions": repetitions} | {key: round(value, 5) for key, value in shares.items()} | _NOT_NOTICED


_NOT_NOTICED = {"noticed": "", "median_delay": ""}
_OF_FALSE_ALARMS = ("false_alarms", "low", "high")


def false_alarms(stream: str, p_values: np.ndarray, every: int = 1) -> dict[str, Any]:
    """Return how many streams had an alarm, ever."""
    streams, bets = p_values.shape
    alarms = int(np.sum(first_alarms(p_values) < bets))
    return _row("martingale", stream, bets * every, streams, alarms) | {"every": every}


def delays(p_values: np.ndarray) -> dict[str, Any]:
    """Return how many streams had an alarm before the change, and the median delay of the others in images."""
    first = first_alarms(p_values)
    row = _row("martingale", "change", QUIET, len(first), int(np.sum(first < QUIET)))
    return row | _noticed(first[first >= QUIET] - QUIET + 1)


def _noticed(images: np.ndarray) -> dict[str, Any]:
    """How many changes were noticed, and the median of how many images that took, those not noticed among them."""
    median = float(np.median(images)) if len(images) else float("nan")
    share = float(np.mean(images <= AFTER)) if len(images) else float("nan")
    return {"noticed": round(share, 4), "median_delay": median if median <= AFTER else ""}


def windows(test: WindowedTest, features: np.ndarray, repetitions: int) -> dict[str, Any]:
    """Return how many single windows of test images alarm."""
    random = np.random.default_rng(0)
    alarms = sum(_alarms(test, random.permutation(features)[: test.window], number) for number in range(repetitions))
    return _row(f"windows of {test.window}", "test images", test.window, repetitions, alarms)


def windows_notice(test: WindowedTest, own: np.ndarray, others: np.ndarray, share: float, repetitions: int) -> dict[str, Any]:
    """Return how many windows alarm after a change, and the median of the images until one does: they are independent."""
    alarms = 0
    for repetition in range(repetitions):
        random = np.random.default_rng([1, repetition])
        odd = random.random((test.window, 1)) < share
        window = np.where(odd, random.choice(others, test.window), random.choice(own, test.window))
        alarms += _alarms(test, window, repetition)
    noticed = alarms / repetitions
    needed = 1 if noticed == 1 else np.ceil(np.log(0.5) / np.log1p(-noticed)) if noticed else np.inf
    row = _row(f"windows of {test.window}", "change", test.window, repetitions, alarms) | dict.fromkeys(_OF_FALSE_ALARMS, "")
    return row | {"noticed": noticed, "median_delay": float(test.window * needed) if test.window * needed <= AFTER else ""}


def _alarms(test: WindowedTest, features: np.ndarray, seed: int) -> bool:
    return test.gate.test_features(features, seed).p_value <= test.gate.alpha


def report(rows: Sequence[Mapping[str, str]]) -> str:
    """Return the tables of rows as Markdown: false alarms, dependent frames, changes."""
    quiet = [row for row in rows if row["stream"] != "change"]
    alike, frames = ([row for row in quiet if (row["stream"] in DEPENDENT_FRAMES) is wanted] for wanted in (False, True))
    changes: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        if row["stream"] == "change":
            delay = row["median_delay"] and f"{float(row['median_delay']):,.0f}"
            key = (row["preset"], row["other"], f"{float(row['share']):.0%}".replace("%", " %"))
            changes.setdefault(key, {})[row["method"]] = delay or f"> {AFTER:,}"
    methods = list(dict.fromkeys(method for found in changes.values() for method in found))
    return "\n\n".join(
        [
            "",
            "False alarms, alpha = 0.05, in brackets their exact 99 % intervals:",
            markdown_table(
                ["preset", "stream", "method", "images", "repetitions", "false alarms"],
                [[row["preset"], row["stream"], row["method"], f"{int(row['images']):,}", *_measured(row)] for row in alike],
            ),
            f"Dependent frames, {DEPENDENT}, alpha = 0.05:",
            markdown_table(
                ["stream", "every", "frames", "repetitions", "false alarms"],
                [[row["stream"], row["every"], f"{int(row['images']):,}", *_measured(row)] for row in frames],
            ),
            "Images from the change to the alarm, medians:",
            markdown_table(
                ["preset", "change to", "share", *methods],
                [[*key, *(found.get(method, "-") for method in methods)] for key, found in changes.items()],
            ),
            "",
        ]
    )


def _measured(row: Mapping[str, str]) -> list[str]:
    share, low, high = (f"{100 * float(row[key]):.1f}" for key in ("false_alarms", "low", "high"))
    return [f"{int(row['repetitions']):,}", f"{share} % [{low}, {high}]"]


if __name__ == "__main__":
    main()
