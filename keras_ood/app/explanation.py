"""What there is to see of one image."""

from typing import NamedTuple

import numpy as np
from keras import ops
from matplotlib.figure import Figure

from keras_ood import plots
from keras_ood.app.session import Session
from keras_ood.calibration import NOMINAL_FPR
from keras_ood.encoders.embed import in_memory

NEAREST = 7
"""In-distribution images shown beside an image."""

MAP = (
    "Bright in the lowest row: where the reconstruction misses the image, all of the row on one scale. It shows what the "
    "autoencoder cannot draw; the score may look at more than that."
)
HEAT = (
    "Below in colour: where it is odd. A white line encloses p-values of at most {fpr:g} %; at most {fpr:g} % of "
    "in-distribution images have such a place anywhere."
)
NO_MAP = (
    "This {family} has no map of where the image is odd; `keras-ood calibrate {model} IMAGES --maps --out FOLDER` adds one."
)
NO_FEATURES = (
    "This {family} has neither a latent nor a gate in whose features the nearest in-distribution images could be found."
)
NO_IMAGES = (
    "No in-distribution images are at hand to look for the nearest ones: start with `keras-ood app {model} --images FOLDER`, "
    "or set `KERAS_OOD_DATA` to a folder that has the preset's data set."
)


class Explanation(NamedTuple):
    """A picture, and the sentences that say what is on it (Markdown)."""

    figure: Figure
    words: str


def explain(session: Session, image: np.ndarray) -> Explanation:
    """Show an image as the detector sees it, its reconstruction, where it is odd, and what is nearest to it.

    Args:
        session: Session whose detector looks.
        image: uint8 `(height, width, 1 or 3)`.
    """
    detector, neighbours = session.detector, session.neighbours
    seen = ops.convert_to_numpy(detector.preprocessing(image[None]))
    with in_memory():  # nothing is left of what somebody sends
        features = detector.features(seen)
    nearest = seen[:0] if neighbours is None or features is None else neighbours.nearest(features, NEAREST)
    family = type(detector).__name__
    height, width, channels = detector.image_shape
    words = f"The image as the detector sees it, {height} x {width} pixels in {'grey' if channels == 1 else 'colour'}"
    if neighbours is not None:
        words += f", and the nearest of {len(neighbours):,} in-distribution images ({session.inside_source})."
    else:
        words += f". {NO_FEATURES if features is None else NO_IMAGES}".format(family=family, model=session.model)
    shown = np.concatenate([seen, nearest])
    if detector.calibrated.has_maps:
        with in_memory():
            figure = _titled(plots.overlays(shown, detector.heat_map(shown, progress=False)), len(nearest))
        words += f" {HEAT}".format(fpr=100 * NOMINAL_FPR)
    elif (drawn := detector.reconstruct(shown)) is not None:
        figure = _titled(plots.error_maps(*drawn), len(nearest))
        words += f" {MAP}"
    else:
        figure = plots.gallery({"image": seen} | ({"nearest": nearest} if len(nearest) else {}))
        words += f" {NO_MAP}".format(family=family, model=session.model)
    return Explanation(figure, words)


def _titled(figure: Figure, nearest: int) -> Figure:
    for axes, title in zip(figure.axes, ["this image", *["nearest"] * nearest], strict=False):
        axes.set_title(title, fontsize=7, pad=2)
    return figure
