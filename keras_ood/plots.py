"""Pictures of what a detector sees, as matplotlib figures in one look."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator
from sklearn.metrics import roc_auc_score, roc_curve

# Okabe and Ito's colours, told apart by colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")


def score_histograms(in_scores: np.ndarray, out_scores: Mapping[str, np.ndarray], threshold: float | None = None) -> Figure:
    """Return the score distribution of each OOD set over that of the in-distribution images, a panel each.

    Args:
        in_scores: `(N,)`.
        out_scores: `{set name: (M,)}`.
        threshold: Drawn as a vertical line, images right of it are flagged.
    """
    figure = Figure(figsize=(7, 0.6 + 0.85 * len(out_scores)), layout="constrained", dpi=150)
    panels = figure.subplots(len(out_scores), 1, sharex=True, squeeze=False).ravel()
    # Linear around the in-distribution scores, logarithmic far from them: OOD scores can lie a hundred times further out.
    low, centre, high = np.quantile(in_scores, [0.05, 0.5, 0.95])
    width = max(high - low, 1e-6)
    ends = [np.arcsinh((values - centre) / width) for values in (in_scores, *out_scores.values())]
    edges = np.linspace(min(map(np.min, ends)), max(map(np.max, ends)), 120)
    bins = centre + width * np.sinh(edges)
    for index, (axes, (name, values)) in enumerate(zip(panels, out_scores.items(), strict=True)):
        for scores, colour, label in ((in_scores, COLOURS[0], "in-distribution"), (values, COLOURS[1], "OOD")):
            # Shares a bin, so that both areas compare on the stretched axis.
            axes.hist(scores, bins, weights=np.full(len(scores), 1 / len(scores)), color=colour, alpha=0.6, label=label)
        if threshold is not None:
            axes.axvline(threshold, color="black", linestyle="--", linewidth=1, label="threshold")
        axes.set_xscale(
            "function", functions=(lambda x: np.arcsinh((x - centre) / width), lambda y: centre + width * np.sinh(y))
        )
        axes.xaxis.set_major_locator(FixedLocator(sorted(set(_round(bins[:: len(bins) // 8])))))
        axes.set(yticks=[])
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        axes.spines[["top", "right", "left"]].set_visible(False)
        if index == 0:
            axes.legend(frameon=False, fontsize=7, ncols=3, loc="lower right", bbox_to_anchor=(1, 0.95))
    panels[-1].set_xlabel("score (higher = more out-of-distribution)")
    return figure


def roc_curves(in_scores: np.ndarray, out_scores: Mapping[str, np.ndarray]) -> Figure:
    """Return a ROC curve for each OOD set, OOD positive, the AUROC in the legend."""
    figure = Figure(figsize=(6, 5), layout="constrained", dpi=150)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    for index, (name, values) in enumerate(out_scores.items()):
        labels = np.repeat([0, 1], [len(in_scores), len(values)])
        joined = np.concatenate([in_scores, values])
        fpr, tpr, _ = roc_curve(labels, joined)
        colour, line = COLOURS[index % len(COLOURS)], ("-", "--", ":")[index // len(COLOURS) % 3]
        axes.plot(fpr, tpr, color=colour, linestyle=line, label=f"{name}: {roc_auc_score(labels, joined):.4f}")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle=":")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.set(xlabel="in-distribution images flagged", ylabel="OOD images flagged")
    axes.legend(title="AUROC", frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def extremes(images: np.ndarray, scores: np.ndarray, count: int = 16) -> Figure:
    """Return the `count` least and most out-of-distribution images, in the order of their scores."""
    order = np.argsort(scores, kind="stable")
    count = min(count, len(order))
    rows = {"least OOD": order[:count], "most OOD": order[len(order) - count :]}
    return _gallery({name: (images[chosen], [f"{value:.4g}" for value in scores[chosen]]) for name, chosen in rows.items()})


def reconstructions(originals: np.ndarray, reconstructed: np.ndarray, scores: np.ndarray | None = None) -> Figure:
    """Return originals above their reconstructions, with scores where given.

    Args:
        originals: `(N, height, width, channels)` in 0..1, as `TiltedVAE.reconstruct` returns them.
        reconstructed: Likewise.
        scores: `(N,)`.
    """
    titles = [""] * len(originals) if scores is None else [f"{value:.4g}" for value in scores]
    return _gallery({"original": (originals, titles), "reconstruction": (reconstructed, [""] * len(originals))})


def gallery(rows: Mapping[str, np.ndarray]) -> Figure:
    """Return rows of images, `{row name: (N, height, width, channels)}`."""
    return _gallery({name: (images, [""] * len(images)) for name, images in rows.items()})


def heat_map(values: Sequence[Sequence[float | None]], rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Return AUROC values in 0..1 as colours with their numbers, a line for each row; None is left white."""
    table = np.array([[np.nan if value is None else value for value in line] for line in values], float)
    figure = Figure(figsize=(4 + 0.8 * len(columns), 1 + 0.24 * len(rows)), layout="constrained", dpi=110)
    axes = figure.subplots()
    axes.imshow(table, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for row, column in zip(*np.nonzero(np.isfinite(table)), strict=True):
        value = table[row, column]
        axes.text(column, row, f"{value:.3f}", ha="center", va="center", fontsize=7, color="white" if value < 0.6 else "black")
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right", fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=7)
    return figure


def severity_curves(curves: Mapping[str, Sequence[float]]) -> Figure:
    """Return a line of AUROC by severity for each name."""
    figure = Figure(figsize=(7, 4), layout="constrained", dpi=110)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    for index, (name, values) in enumerate(curves.items()):
        colour, line = COLOURS[index % len(COLOURS)], ("-", "--", ":")[index // len(COLOURS) % 3]
        axes.plot(range(1, len(values) + 1), values, color=colour, linestyle=line, marker="o", markersize=3, label=name)
    axes.set(xlabel="severity", ylabel="AUROC", ylim=(0, 1.02))
    axes.set_xticks(range(1, 1 + max(map(len, curves.values()))))
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8)
    return figure


def _round(values: np.ndarray) -> list[float]:
    """Each value to two significant digits."""
    return [float(f"{value:.2g}") for value in values]


def _gallery(rows: Mapping[str, tuple[np.ndarray, list[str]]]) -> Figure:
    """Draw each row of images with a title above each image, 16 images a line."""
    lines = [
        (name if start == 0 else "", images[start : start + 16], titles[start : start + 16])
        for name, (images, titles) in rows.items()
        for start in range(0, len(images), 16)
    ]
    columns = max(len(images) for _, images, _ in lines)
    figure = Figure(figsize=(0.8 * columns + 1, 1.05 * len(lines)), layout="constrained", dpi=150)
    grid = figure.subplots(len(lines), columns, squeeze=False)
    for axes_row, (name, images, titles) in zip(grid, lines, strict=True):
        for axes in axes_row:
            axes.axis("off")
        for axes, image, title in zip(axes_row, images, titles, strict=False):
            axes.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
            axes.set_title(title, fontsize=7, pad=2)
        axes_row[0].text(-0.15, 0.5, name, transform=axes_row[0].transAxes, ha="right", va="center", fontsize=8)
    return figure
