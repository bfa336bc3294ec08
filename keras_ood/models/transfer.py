"""A detector's weights in a detector for images of another size or with other channels."""

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from keras_ood.images.preprocessing import LUMINANCE, Preprocessing
from keras_ood.models.detector import Detector


@dataclass(frozen=True)
class Transfer:
    """A detector that took over what it could, not calibrated; neither gate nor background model comes along.

    Attributes:
        detector: The new one.
        reused: Names of the weights that are the source's.
        converted: Names of those between grey and RGB: the network gives on an image of the new kind what the source gives on
            that image converted.
        fresh: Names of those that start from random values: their number depends on the size of the image.
        share: Share of the parameters, what is not fresh.
    """

    detector: Detector
    reused: tuple[str, ...]
    converted: tuple[str, ...]
    fresh: tuple[str, ...]
    share: float

    def __str__(self) -> str:
        kinds = {"converted": self.converted, "fresh": self.fresh}
        layers = {kind: dict.fromkeys(name.rpartition("/")[0] for name in names) for kind, names in kinds.items()}
        parts = [f"{kind}: {', '.join(names)}" for kind, names in layers.items() if names]
        return "; ".join([f"{self.share:.1%} of the parameters reused", *parts])


def transfer(source: Detector, image_shape: tuple[int, int, int] | None = None, aspect: str | None = None) -> Transfer:
    """Return a copy of a detector for images of another shape.

    Convolutions fit images of any size. Where the number of channels changes between 1 and 3, the first layer that reads an
    image and the last that writes one are converted. Dense layers between image and latent start anew when the size changes.

    Args:
        source: Any detector; unchanged.
        image_shape: `(height, width, channels)` of the new one; None for the source's.
        aspect: Its rule for another ratio of the sides, see `Detector`; None for the source's.

    Raises:
        ValueError: The architecture does not fit images of that shape, or a flow shall have other channels.
    """
    source = source.ungated()
    shape = Preprocessing(source.image_shape if image_shape is None else image_shape).image_shape
    rule = {} if aspect is None else {"aspect": aspect}
    detector = source.remade(**source.resized_config(shape) | rule)
    kinds: dict[str, list[str]] = {"reused": [], "converted": [], "fresh": []}
    readers = {id(variable) for variable in (detector if detector.encoder is None else detector.encoder).variables}
    counted = {id(variable) for variable in detector.trainable_variables}
    sizes = {"reused": 0, "converted": 0, "fresh": 0}
    for new, old in zip_longest(detector.own_weights(), source.own_weights()):  # another number of scales: the last differ
        if new is None:
            break
        value, kind = (None, "fresh") if old is None else _fit(old.numpy(), tuple(new.shape), id(new) in readers)
        if value is not None:
            new.assign(value)
        if id(new) in counted:
            kinds[kind].append(new.path)
            sizes[kind] += int(np.prod(new.shape))
    share = 1 - sizes["fresh"] / sum(sizes.values())
    return Transfer(detector, tuple(kinds["reused"]), tuple(kinds["converted"]), tuple(kinds["fresh"]), share)


def _fit(value: np.ndarray, shape: tuple[int, ...], reads: bool) -> tuple[Any, str]:
    """Return a weight in the new shape and how it came there; `reads` tells a kernel that images enter."""
    if value.shape == shape:
        return value, "reused"
    differing = [axis for axis in range(len(shape)) if value.shape[axis] != shape[axis]]
    sizes = [(value.shape[axis], shape[axis]) for axis in differing]
    if sizes not in ([(1, 3)], [(3, 1)]) or len(shape) not in (1, 4):
        return None, "fresh"
    axis = differing[0]
    to_rgb = shape[axis] == 3
    # A kernel that reads RGB in place of grey sees the luminance, and one that writes grey in place of RGB writes it; the
    # other two repeat a grey channel, or add up what three equal ones were multiplied with.
    by_luminance = reads if to_rgb else not reads
    weights = np.asarray(LUMINANCE if by_luminance else (1.0, 1.0, 1.0), value.dtype)
    weights = weights.reshape([3 if other == axis else 1 for other in range(len(shape))])
    return (value * weights if to_rgb else np.sum(value * weights, axis, keepdims=True)), "converted"
