"""A preset at work behind the page."""

import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import keras_ood
from keras_ood import datasets
from keras_ood.app.neighbours import Neighbours
from keras_ood.calibration.rule import Rule
from keras_ood.evaluation.judge import Judge
from keras_ood.hub import handles, preset
from keras_ood.images import Decoding, ImageFiles
from keras_ood.images.array_file import ArrayFile
from keras_ood.images.sources import convert, gather
from keras_ood.tables.score_table import Names, Row

MOST_IN_DISTRIBUTION = 2_000
"""In-distribution images that are kept to look for the nearest of an image, evenly spaced over those at hand."""

MOST_PIXELS = 50_000_000
"""Of an image that somebody sends, before it is decoded."""

Paths = str | Sequence[str]

_STEPS = 1_000


class Session:
    """A detector, its calibration, and in-distribution images where some are at hand.

    Args:
        model: A handle, see `keras_ood.from_pretrained`.
        folder: In-distribution images, a folder or image file or several, or a .npy file; None for the test split of the data
            set that the preset names, if it is on this machine.
        unreadable: What a broken file among them does: `"raise"` or `"skip"`, see `ImageFiles`.
        decoding: How files become images, those of `folder` and those that somebody sends.

    Attributes:
        name: What the detector is called: its name in the zoo or on the Hub, or its folder's.
        decoding: How what somebody sends becomes images: as above, of at most `MOST_PIXELS`.
        content: What `preset.json` says of it.
        title: What the detector takes for in-distribution, as the preset says it.
        inside: In-distribution images, float32 `(N, *image_shape)`, None where none are at hand.
        inside_source: Where they are from, in words.

    Raises:
        NotCalibratedError: The preset has no calibration.
    """

    def __init__(
        self, model: str, folder: Paths | None = None, unreadable: str = "raise", decoding: Decoding | None = None
    ) -> None:
        decoding = Decoding() if decoding is None else decoding
        path = handles.resolve(model)
        self.model = model
        self.name = path.resolve().name if Path(model).is_dir() else model
        self.decoding = replace(decoding, frames="first", most_pixels=MOST_PIXELS)
        self.detector = keras_ood.from_pretrained(path)
        self.calibration = self.detector.calibration()
        self.content = preset.read(path)
        described = self.content.get("in_distribution") or {}
        self.title = str(described.get("title", "the images it was calibrated on"))
        if folder is None:
            self.inside_source, source = _own_test_images(described.get("name"))
        else:
            self.inside_source, source = _images_of(folder, unreadable, decoding)
        self.inside = None if source is None else gather(source, self.detector.preprocessing)

    @property
    def lowest_rate(self) -> float:
        """The least rate that the calibration can promise, rounded up to a thousandth."""
        return math.ceil(_STEPS / (len(self.calibration) + 1)) / _STEPS

    @functools.cached_property
    def neighbours(self) -> Neighbours | None:
        """Where to look for the nearest in-distribution images; None without images, or features to compare them in."""
        if self.inside is None:
            return None
        features = self.detector.features(self.inside)
        return None if features is None else Neighbours(features, self.inside)

    def rows(self, images: Iterable[np.ndarray], names: Names, rule: Rule) -> Iterator[Row]:
        """Yield `(name, score, p-value, flag)` of each image, None for those that could not be read.

        Args:
            images: `(height, width, 1 or 3)` each, of any sizes, uint8 or float32 in 0..1.
            names: Names of the images, in step with them.
            rule: What is flagged.

        Raises:
            ValueError: The calibration cannot promise that.
        """
        judge = Judge(self.detector, None, rule)  # refuses a rate out of reach before any image is scored
        prepared = convert(images, self.detector.preprocessing)  # files of many sizes share batches
        first = next(prepared, None)
        if first is not None:
            for scores, p_values in self.detector.iterate_p_values(itertools.chain([first], prepared), progress=False):
                yield from judge.judged(list(names.rows(scores, p_values, p_values < 0)))
        yield from judge.judged(list(names.rest()))
        yield from judge.rest()


@functools.lru_cache(maxsize=4)
def open_session(model: str, *settings: Any) -> Session:
    """Return the session of a preset, loaded when it is first asked for."""
    return Session(model, *settings)


def at_hand() -> list[str]:
    """Return the names of the zoo's presets that need no download."""
    return [name for name in keras_ood.list_models() if handles.find(name)[0] is not None]


def _images_of(folder: Paths, unreadable: str, decoding: Decoding) -> tuple[str, Any]:
    """Where in-distribution images are from, and the images themselves."""
    if isinstance(folder, str) and folder.endswith(".npy"):
        array = np.asarray(ArrayFile(Path(folder)))
        return f"images of {Path(folder).stem}", array[_spread(len(array))]
    paths = ImageFiles(folder).paths
    names = ", ".join(Path(path).name for path in ([folder] if isinstance(folder, str) else folder))
    return f"images of {names}", ImageFiles([paths[index] for index in _spread(len(paths))], unreadable, decoding)


def _own_test_images(name: str | None) -> tuple[str, Any]:
    """The same for the data set that a preset names, None for images that are not at hand."""
    if name in datasets.DATASETS and (datasets.get(name).at_hand or datasets.local_file(name, "test")):
        images = datasets.load(name, "test")[0]
        return f"test images of {datasets.get(name).title}", images[_spread(len(images))]
    return "", None


def _spread(count: int) -> np.ndarray:
    """Indices of at most `MOST_IN_DISTRIBUTION` of so many images."""
    return np.linspace(0, count - 1, min(count, MOST_IN_DISTRIBUTION)).astype(int)
