"""Charts of numbers: curves, histograms, latents, tables."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator
from sklearn.metrics import roc_auc_score, roc_curve

from keras_ood.plots.style import COLOURS, MAP, side_by_side, styles

_UNITS = dict.fromkeys(("kl", "log_det", "nll", "reconstruction"), "nats") | {"bits_per_dimension": "bits"}


def score_histograms(
    in_scores: np.ndarray, out_scores: Mapping[str, np.ndarray], threshold: float | None = None, label: str = "OOD"
) -> Figure:
    """Return the score distribution of each OOD set over that of the in-distribution images, a panel each.

    Args:
        in_scores: `(N,)`.
        out_scores: `{set name: (M,)}`.
        threshold: Score drawn as a vertical line: images right of it are flagged.
        label: Name of the others in the legend.
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
        for scores, colour, named in ((in_scores, COLOURS[0], "in-distribution"), (values, COLOURS[1], label)):
            # Shares a bin, so that both areas compare on the stretched axis.
            axes.hist(scores, bins, weights=np.full(len(scores), 1 / len(scores)), color=colour, alpha=0.6, label=named)
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


def roc_curves(
    in_scores: np.ndarray, out_scores: Mapping[str, np.ndarray], resamples: int = 200, confidence: float = 0.95
) -> Figure:
    """Return a ROC curve for each OOD set, OOD positive, with a confidence band and the AUROC in the legend.

    Args:
        in_scores: `(N,)`.
        out_scores: `{set name: (M,)}`.
        resamples: Number of bootstrap resamples of the images of both sides, from which the band comes; 0 for no band.
        confidence: Confidence of the band, at each false positive rate on its own.
    """
    figure, (axes,) = side_by_side(1, 6.4, 5)
    grid = np.linspace(0, 1, 201)
    for (name, values), style in zip(out_scores.items(), styles(), strict=False):
        labels = np.repeat([0, 1], [len(in_scores), len(values)])
        joined = np.concatenate([in_scores, values])
        fpr, tpr, _ = roc_curve(labels, joined)
        axes.plot(fpr, tpr, label=f"{name}: {roc_auc_score(labels, joined):.4f}", **style)
        if resamples:
            low, high = _roc_band(in_scores, values, grid, resamples, confidence)
            axes.fill_between(grid, low, high, color=style["color"], alpha=0.18, linewidth=0)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle=":")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.set(xlabel="in-distribution images flagged", ylabel="OOD images flagged")
    title = f"AUROC (band: {confidence:.0%}, bootstrap)" if resamples else "AUROC"
    axes.legend(title=title, frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def _roc_band(
    in_scores: np.ndarray, out_scores: np.ndarray, grid: np.ndarray, resamples: int, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Shares of OOD images flagged at each false positive rate of `grid`, the ends of the band."""
    generator = np.random.default_rng(0)
    shares = np.empty((resamples, len(grid)))
    for row in shares:
        inside = np.sort(generator.choice(in_scores, len(in_scores)))[::-1]
        outside = np.sort(generator.choice(out_scores, len(out_scores)))
        flagged = np.floor(grid * len(inside)).astype(int)  # in-distribution images above the threshold
        above = len(outside) - np.searchsorted(outside, inside[np.minimum(flagged, len(inside) - 1)], side="right")
        row[:] = np.where(flagged < len(inside), above / len(outside), 1.0)
    low, high = np.quantile(shares, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return low, high


def latent_sphere(latents: Mapping[str, np.ndarray], radius: float) -> Figure:
    """Return the latents of several sets around the sphere on which the tilted prior wants them, in three dimensions.

    A point's distance from the centre is its latent's true norm; its direction is that of the latent's first three principal
    components, those of the first set.

    Args:
        latents: `{set name: (N, latent_dim)}`, at least 3 dimensions; at most 500 of each set are drawn.
        radius: Radius of the sphere, such as `TiltedVAE.prior().optimal_radius`; 0 for none.
    """
    first = next(iter(latents.values()))
    if any(values.ndim != 2 or values.shape[1] < 3 for values in latents.values()):
        shapes = {name: values.shape for name, values in latents.items()}
        raise ValueError(f"`latents` must be (N, latent_dim) with 3 dimensions at least. Received: {shapes}")
    directions = np.linalg.svd(first - first.mean(axis=0), full_matrices=False)[2][:3]
    figure = Figure(figsize=(6.4, 5.6), layout="constrained", dpi=150)
    axes = figure.add_subplot(projection="3d")
    if radius:
        azimuth, polar = np.meshgrid(np.linspace(0, 2 * np.pi, 31), np.linspace(0, np.pi, 16))
        sphere = np.stack([np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)])
        axes.plot_wireframe(*(radius * sphere), color="grey", linewidth=0.4, alpha=0.5)
    for (name, values), style in zip(latents.items(), styles(), strict=False):
        projected = values[:500] @ directions.T
        norms = np.linalg.norm(values[:500], axis=-1, keepdims=True)
        points = norms * projected / np.maximum(np.linalg.norm(projected, axis=-1, keepdims=True), 1e-12)
        axes.scatter(*points.T, s=5, color=style["color"], label=name, depthshade=False, alpha=0.7)
    reach = max(radius, *(float(np.max(np.linalg.norm(values[:500], axis=-1))) for values in latents.values()))
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach))
    axes.set_box_aspect((1, 1, 1), zoom=1.8)
    axes.set_axis_off()
    axes.legend(frameon=False, loc="upper left")
    return figure


def norm_histograms(norms: Mapping[str, np.ndarray], radius: float | None = None) -> Figure:
    """Return the distribution of the latents' norms, a curve for each set.

    Args:
        norms: `{set name: (N,)}`.
        radius: Norm drawn as a vertical line: where the prior wants them.
    """
    figure, (axes,) = side_by_side(1, 7, 3.2)
    bins = np.linspace(0, max(float(np.max(values)) for values in norms.values()) * 1.02, 80).tolist()
    for (name, values), style in zip(norms.items(), styles(), strict=False):
        weights = np.full(len(values), 1 / len(values))
        axes.hist(values, bins, weights=weights, histtype="stepfilled", alpha=0.25, color=style["color"])
        axes.hist(values, bins, weights=weights, histtype="step", linewidth=1.5, label=name, **style)
    if radius is not None:
        axes.axvline(radius, color="black", linestyle="--", linewidth=1, label=f"radius {radius:.2f}")
    axes.set(xlabel="norm of the latent", ylabel="share of the images")
    axes.legend(frameon=False)
    return figure


def training_curves(history: Mapping[str, Sequence[float]]) -> Figure:
    """Return what training reported after each epoch, a panel for each quantity, training over validation.

    A detector's loss is its mean nll: beside `nll` there is no panel for `loss`.

    Args:
        history: `{name: a number for each epoch}` as `keras.callbacks.History.history` holds it; `val_` begins the name of a
            quantity on validation images.
    """
    names = [name for name in history if not name.startswith("val_")]
    names += [name.removeprefix("val_") for name in history if name.removeprefix("val_") not in history]
    if "nll" in names:
        names = [name for name in names if name != "loss"]
    if not names:
        raise ValueError("`history` must hold at least one quantity. Received: none")
    figure, panels = side_by_side(len(names), 3.4, 2.8)
    for axes, name in zip(panels, names, strict=True):
        for key, label, style in ((name, "training", "-"), (f"val_{name}", "validation", "--")):
            if key in history:
                colour = COLOURS[label == "validation"]
                epochs = range(1, len(history[key]) + 1)
                axes.plot(epochs, history[key], style, color=colour, marker="o", markersize=2.5, label=label)
        axes.set(xlabel="epoch", ylabel=_UNITS.get(name, ""), title=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, fontsize=8)
    return figure


def heat_map(values: Sequence[Sequence[float | None]], rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Return AUROC values in 0..1 as colours with their numbers, a line for each row; None is left white."""
    table = np.array([[np.nan if value is None else value for value in line] for line in values], float)
    figure = Figure(figsize=(4 + 0.8 * len(columns), 1 + 0.24 * len(rows)), layout="constrained", dpi=110)
    axes = figure.subplots()
    axes.imshow(table, cmap=MAP, vmin=0, vmax=1, aspect="auto")
    for row, column in zip(*np.nonzero(np.isfinite(table)), strict=True):
        value = table[row, column]
        axes.text(column, row, f"{value:.3f}", ha="center", va="center", fontsize=7, color="white" if value < 0.6 else "black")
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right", fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=7)
    return figure


def loss_curves(losses: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Return held-out losses by epoch, a panel for each setting: the mean over the seeds, from the least to the largest shaded.

    Args:
        losses: `{panel: {line: (seeds, epochs)}}`.
    """
    figure, panels = side_by_side(len(losses), 4.4, 3.4)
    for axes, (title, lines) in zip(panels, losses.items(), strict=True):
        for (name, values), style in zip(lines.items(), styles(), strict=False):
            epochs = np.arange(1, values.shape[1] + 1)
            axes.plot(epochs, values.mean(axis=0), label=name, **style)
            axes.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=style["color"], alpha=0.2, linewidth=0)
        # The first epochs of a fresh network lie far above all others.
        low, high = min(map(np.min, lines.values())), max(np.quantile(values, 0.9) for values in lines.values())
        axes.set(xlabel="epoch", ylabel="held-out nll in nats", ylim=(low - 0.05 * (high - low), high))
        axes.set_title(title, fontsize=9)
        axes.legend(frameon=False)
    return figure


def severity_curves(curves: Mapping[str, Sequence[float]]) -> Figure:
    """Return a line of AUROC by severity for each name."""
    figure, (axes,) = side_by_side(1, 7, 4)
    for (name, values), style in zip(curves.items(), styles(), strict=False):
        axes.plot(range(1, len(values) + 1), values, marker="o", markersize=3, label=name, **style)
    axes.set(xlabel="severity", ylabel="AUROC", ylim=(0, 1.02))
    axes.set_xticks(range(1, 1 + max(map(len, curves.values()))))
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8)
    return figure


def martingale(
    log10_martingale: np.ndarray,
    scores: np.ndarray,
    alpha: float,
    first: int = 0,
    alarm: int | None = None,
    change: int | None = None,
) -> Figure:
    """Return the evidence of a change over the images of a stream, with the line at which the alarm is raised; scores below.

    Args:
        log10_martingale: `(N,)`, of `keras_ood.monitoring.Record`.
        scores: `(N,)`.
        alpha: The alarm is raised at 1/alpha.
        first: Index of the first of these images.
        alarm: Index of the image that raised the alarm.
        change: Index of the image at which the change most plausibly began.
    """
    figure = Figure(figsize=(8, 4.4), layout="constrained", dpi=110)
    evidence, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    images = np.arange(first, first + len(scores))
    evidence.plot(images, log10_martingale, color=COLOURS[0])
    evidence.axhline(-np.log10(alpha), color="black", linestyle="--", linewidth=1, label=f"alarm: 1/{alpha:g}")
    below.plot(images, scores, ".", color=COLOURS[0], markersize=2)
    for axes in (evidence, below):
        axes.spines[["top", "right"]].set_visible(False)
        if change is not None:
            axes.axvline(change, color=COLOURS[2], linestyle=":", label=f"change, most plausibly: image {change:,}")
        if alarm is not None:
            axes.axvline(alarm, color=COLOURS[1], label=f"alarm: image {alarm:,}")
    evidence.set_ylabel("log10 of the martingale")
    evidence.legend(frameon=False, fontsize=8, loc="upper left")
    below.set(xlabel="image", ylabel="score")
    return figure


def _round(values: np.ndarray) -> list[float]:
    """Each value to two significant digits."""
    return [float(f"{value:.2g}") for value in values]
