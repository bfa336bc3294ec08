"""The tables of all scores."""

from collections.abc import Sequence
from statistics import mean

from keras_ood import datasets, plots
from keras_ood.benchmark.means import Rows, average, pair_means, seed_means, seeds_cell, unique
from keras_ood.benchmark.rate import Rate
from keras_ood.benchmark.section import Section


def all_scores(rows: Rows, rates: Sequence[Rate]) -> list[Section]:
    """Return the default scores, every score's mean, a table of all for each in-distribution set, corruptions and costs."""
    return [_summary(rows), _means(rows), *_by_set(rows), _corruptions(rows), _costs(rows, rates)]


def _summary(rows: Rows) -> Section:
    """The default score of every preset on every pair of data sets."""
    own = [row for row in rows if row.method in (row.default_score, "nll") and row.is_pair]
    outs = unique(row.out_of_distribution for row in own)
    lines, labels, values = [], [], []
    for preset in unique(row.preset for row in own):
        default = next(row.default_score for row in own if row.preset == preset)
        for method in unique((default, "nll")):
            chosen = [row for row in own if row.preset == preset and row.method == method]
            lines.append([preset, chosen[0].looks_at, method, *_cells(chosen, outs), average(seed_means(chosen, "trained"))])
            if method == default:
                means = pair_means(chosen, "trained")
                labels.append(preset)
                values.append([means.get((preset, out)) for out in outs])
    text = (
        "Every preset's default score, of one rule for all that look at pixels and one for all that look through an encoder; "
        "`nll`, the plain likelihood, stands beside it."
    )
    header = ["preset", "looks at", "score", *outs, "mean"]
    return Section("The default score", text, header, lines, plots.heat_map(values, labels, outs))


def _means(rows: Rows) -> Section:
    """Every score's mean over the pairs of presets and sets that it was measured on, pixels and encoders apart."""
    pairs = [row for row in rows if row.is_pair]
    lines = []
    for looks_at in unique(row.looks_at for row in pairs):
        own = [row for row in pairs if row.looks_at == looks_at]
        found = []
        for method in unique(row.method for row in own):
            cells = []
            for sets in (datasets.DATASETS, unique(row.out_of_distribution for row in own)):
                chosen = [row for row in own if row.method == method and row.out_of_distribution in sets]
                trained, untrained = (pair_means(chosen, weights).values() for weights in ("trained", "untrained"))
                cells += [str(len(trained)), f"{average(trained)} ({average(untrained)})"]
            found.append([looks_at, method, *cells])
        lines += sorted(found, key=lambda line: line[3], reverse=True)
    text = (
        "Mean AUROC over pairs of a preset and an out-of-distribution set, each pair the mean of its seeds. What fewer presets "
        "have is a mean over fewer pairs."
    )
    header = ["looks at", "score", "pairs", "data sets", "pairs", "with noise and constant"]
    return Section("Every score's mean", text, header, lines)


def _by_set(rows: Rows) -> list[Section]:
    """All scores, a table for each in-distribution set."""
    sections = []
    for inside in unique(row.in_distribution for row in rows):
        own = [row for row in rows if row.in_distribution == inside and row.is_pair]
        outs = unique(row.out_of_distribution for row in own)
        lines = []
        for preset in unique(row.preset for row in own):
            for method in unique(row.method for row in own if row.preset == preset):
                chosen = [row for row in own if row.preset == preset and row.method == method]
                count = max(row.in_images for row in chosen)
                lines.append([preset, chosen[0].looks_at, chosen[0].label, f"{count}", *_cells(chosen, outs)])
        title = f"In-distribution: {datasets.get(inside).title}"
        header = ["preset", "looks at", "score", "images", *outs]
        sections.append(Section(title, "", header, lines))
    return sections


def _corruptions(rows: Rows) -> Section:
    """AUROC by severity of the default score and of the plain likelihood, mean over the kinds of corruption."""
    lines: list[list[str]] = []
    curves: dict[str, list[float]] = {}
    trained = [row for row in rows if row.weights == "trained"]
    for preset in unique(row.preset for row in rows):
        default = next(row.default_score for row in rows if row.preset == preset)
        for method in unique((default, "nll")):
            chosen = [row for row in trained if row.preset == preset and row.method == method]
            found = [
                [row.auroc for row in chosen if row.out_of_distribution.endswith(f"-{severity}")]
                for severity in datasets.SEVERITIES
            ]
            if all(found):
                means = [mean(values) for values in found]
                lines.append([preset, chosen[0].looks_at, method, *[f"{value:.3f}" for value in means]])
                if method == default:
                    curves[preset] = means
    text = "Five kinds of corruption of the in-distribution test images, mean AUROC by severity: noticed, or passed over."
    header = ["preset", "looks at", "score", *map(str, datasets.SEVERITIES)]
    return Section("Corruptions", text, header, lines, plots.severity_curves(curves) if curves else None)


def _costs(rows: Rows, rates: Sequence[Rate]) -> Section:
    """What a score costs, over pixels and over encoders."""
    lines = []
    for looks_at in unique(row.looks_at for row in rows):
        for method in unique(row.method for row in rows if row.looks_at == looks_at):
            own = next(row for row in rows if row.method == method)
            found = [rate.images_per_second for rate in rates if (rate.looks_at, rate.method) == (looks_at, method)]
            speed = f"{min(found):,.0f} to {max(found):,.0f}" if found else "-"
            lines.append([looks_at, method, own.cost, speed, own.tag])
    return Section("Cost", "", ["looks at", "score", "cost", "images a second, over the presets", "tag"], lines)


def _cells(rows: Rows, outs: Sequence[str]) -> list[str]:
    return [seeds_cell([row for row in rows if row.out_of_distribution == out]) for out in outs]
