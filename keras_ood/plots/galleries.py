"""Images in rows."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from keras_ood.calibration import NOMINAL_FPR
from keras_ood.plots.overlay import outline, overlay
from keras_ood.plots.style import MAP

_DEFECT = (0, 255, 255)  # colour of the line around what is known to be one


def extremes(images: np.ndarray, scores: np.ndarray, count: int = 16) -> Figure:
    """Return the `count` least and most out-of-distribution images, in the order of their scores."""
    order = np.argsort(scores, kind="stable")
    count = min(count, len(order))
    rows = {"least OOD": order[:count], "most OOD": order[len(order) - count :]}
    return _gallery([(name, images[chosen], [f"{value:.4g}" for value in scores[chosen]]) for name, chosen in rows.items()])


def error_maps(originals: np.ndarray, reconstructed: np.ndarray, scores: np.ndarray | None = None) -> Figure:
    """Return images, their reconstructions and maps of the squared error: where each image is odd.

    The error is the mean over the channels, on one scale for all images, so that maps compare.

    Args:
        originals: `(N, height, width, channels)` in 0..1, as `TiltedVAE.reconstruct` returns them.
        reconstructed: Reconstructions of the same shape and range.
        scores: `(N,)`, written above the images.
    """
    titles = [""] * len(originals) if scores is None else [f"{value:.4g}" for value in scores]
    untitled = [""] * len(originals)
    errors = np.mean(np.square(originals - reconstructed), axis=-1, keepdims=True)
    errors = errors / max(float(np.quantile(errors, 0.995)), 1e-12)  # a few bright pixels would darken all others
    return _gallery(
        [
            ("image", originals, titles),
            ("reconstruction", reconstructed, untitled),
            ("where it is odd", np.clip(errors, 0, 1), untitled),
        ],
        maps=("where it is odd",),
    )


def gallery(rows: Mapping[str, np.ndarray]) -> Figure:
    """Return rows of images, `{row name: (N, height, width, channels)}`."""
    return _gallery([(name, images, [""] * len(images)) for name, images in rows.items()])


def overlays(images: np.ndarray, heat_maps: np.ndarray, fpr: float = NOMINAL_FPR, masks: np.ndarray | None = None) -> Figure:
    """Return images, and below each itself with its heat map over it, see `overlay`.

    Args:
        images: `(N, height, width, 1 or 3)`, uint8, or float in 0..1, as `detector.preprocessing` gives them.
        heat_maps: P-values `(N, height, width)`, as `detector.heat_map` gives them.
        fpr: As in `overlay`.
        masks: bool `(N, height, width)`, where defects are known to be: a line encloses them in the images.

    Raises:
        ValueError: As `overlay`, or masks of another shape than the heat maps.
    """
    images, heat_maps = np.asarray(images), np.asarray(heat_maps)
    if images.ndim != 4 or heat_maps.shape != images.shape[:3] or (masks is not None and np.shape(masks) != heat_maps.shape):
        raise ValueError(
            "Expected images (N, height, width, channels), and heat maps and masks (N, height, width). "
            f"Received: {images.shape}, {heat_maps.shape} and {None if masks is None else np.shape(masks)}"
        )
    over = np.stack([overlay(image, heat_map, fpr) for image, heat_map in zip(images, heat_maps, strict=True)])
    shown = np.repeat(images, 3 // images.shape[-1], axis=-1)
    for image, mask in zip(shown, [] if masks is None else masks, strict=False):
        image[outline(mask)] = _DEFECT if image.dtype == np.uint8 else np.divide(_DEFECT, 255)
    names = ("image" if masks is None else "image,\ndefect", f"where it\nis odd\n(p <= {fpr:g})")
    rows = []
    for start in range(0, len(images), 8):
        rows += [(name, part[start : start + 8], [""] * 8) for name, part in zip(names, (shown, over), strict=True)]
    return _gallery(rows, inches=1.6)


def _gallery(rows: Sequence[tuple[str, np.ndarray, list[str]]], maps: Sequence[str] = (), inches: float = 0.8) -> Figure:
    """Draw rows of images, each with its name and a title above each image, 16 images a line.

    `maps` names rows of values, not of grey; `inches` is the side of an image.
    """
    lines = [
        (name if start == 0 else "", images[start : start + 16], titles[start : start + 16], MAP if name in maps else "gray")
        for name, images, titles in rows
        for start in range(0, len(images), 16)
    ]
    columns = max(len(images) for _, images, _, _ in lines)
    figure = Figure(figsize=(inches * columns + 1, (inches + 0.25) * len(lines)), layout="constrained", dpi=150)
    grid = figure.subplots(len(lines), columns, squeeze=False)
    for axes_row, (name, images, titles, colours) in zip(grid, lines, strict=True):
        for axes in axes_row:
            axes.axis("off")
        for axes, image, title in zip(axes_row, images, titles, strict=False):
            axes.imshow(image.squeeze(), cmap=colours, vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
            axes.set_title(title, fontsize=7, pad=2)
        axes_row[0].text(-0.15, 0.5, name, transform=axes_row[0].transAxes, ha="right", va="center", fontsize=8)
    return figure
