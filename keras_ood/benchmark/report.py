"""What the benchmark found, as one CSV file, Markdown, and a page with plots."""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import mean

from matplotlib.figure import Figure

from keras_ood import datasets, plots
from keras_ood.benchmark import runner
from keras_ood.benchmark.measurement import Measurement
from keras_ood.hub import handles
from keras_ood.tables.markdown import markdown_table, mean_cell
from keras_ood.tables.records import CONVENTION, read_records, typed_rows, write_records

MARKDOWN, PAGE = "README.md", "index.html"
Rows = Sequence[Measurement]


@dataclass(frozen=True)
class Section:
    """A table under a heading, perhaps with a picture."""

    title: str
    text: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]
    figure: Figure | None = None


def write_report(folder: Path) -> None:
    """Write `results.csv`, `README.md` and `index.html` from the finished cells of `folder`.

    Rows of presets of the zoo that `results.csv` has and no cell has stay: a few presets can be measured, and the rest is as it
    was.

    Args:
        folder: Where `run` kept its cells.

    Raises:
        ValueError: No cell is finished and no row was before, or `results.csv` is of an earlier version.
    """
    records = runner.records(folder)
    records += _kept(folder / runner.RESULTS, records)
    if not records:
        raise ValueError(f"A report needs finished cells. Received: {folder} without any")
    records.sort(key=lambda row: (row["looks_at"] == "pixels", row["preset"]))  # what looks through an encoder comes first
    write_records(folder / runner.RESULTS, records)
    rows = typed_rows(records, Measurement)
    sections = [_summary(rows), _means(rows), *_scores(rows), _corruptions(rows), _costs(rows)]
    machines = ", ".join(_unique(row.machine for row in rows))
    introduction = (
        "AUROC, OOD positive, mean ± standard deviation over the training seeds, the untrained networks in brackets. "
        f"{CONVENTION} All metrics with their intervals are in `results.csv`. Rows tagged *transductive* depend on the batch "
        f"under test and do not compare with the others. Measured on {machines}; images a second are of the machine "
        "and comparable within a run."
    )
    (folder / MARKDOWN).write_text(_markdown(introduction, sections))
    (folder / PAGE).write_text(_page(introduction, sections))


def _kept(path: Path, measured: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows of a table of results that stay beside those that were measured."""
    rows = read_records(path) if path.exists() else []
    columns = {field.name for field in fields(Measurement)}
    if rows and not columns <= set(rows[0]):
        raise ValueError(
            f"Results of an earlier version cannot stay; remove the file, and all presets are measured again. "
            f"Received: {path} without {sorted(columns - set(rows[0]))}"
        )
    known, again = set(handles.list_models()), {_identity(row) for row in measured}
    return [row for row in rows if row["preset"] in known and _identity(row) not in again]


def _identity(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in ("preset", "weights", "seed", "method"))


def _summary(rows: Rows) -> Section:
    """The default score of every preset on every pair of data sets."""
    own = [row for row in rows if row.method in (row.default_score, "nll") and row.is_pair]
    outs = _unique(row.out_of_distribution for row in own)
    lines = []
    for preset in _unique(row.preset for row in own):
        default = next(row.default_score for row in own if row.preset == preset)
        for method in _unique((default, "nll")):
            chosen = [row for row in own if row.preset == preset and row.method == method]
            cells = [_cell(chosen, out) for out in outs]
            means = [_mean(chosen, out) for out in outs]
            average = _average([value for value in means if value is not None])
            lines.append([preset, chosen[0].looks_at, method, *cells, average])
    text = (
        "Every preset's default score, of one rule for all that look at pixels and one for all that look through an encoder; "
        "`nll`, the plain likelihood, stands beside it."
    )
    return Section("The default score", text, ["preset", "looks at", "score", *outs, "mean"], lines)


def _means(rows: Rows) -> Section:
    """Every score's mean over the pairs of presets and sets that it was measured on."""
    pairs = [row for row in rows if row.is_pair]
    lines = []
    for method in _unique(row.method for row in pairs):
        cells = []
        for sets in (datasets.DATASETS, _unique(row.out_of_distribution for row in pairs)):
            own = [row for row in pairs if row.method == method and row.out_of_distribution in sets]
            trained, untrained = (_pair_means(own, weights) for weights in ("trained", "untrained"))
            cells += [str(len(trained)), f"{_average(trained)} ({_average(untrained)})"]
        lines.append([method, *cells])
    lines.sort(key=lambda line: line[2], reverse=True)
    text = (
        "Mean AUROC over pairs of a preset and an out-of-distribution set, each pair the mean of its seeds. What fewer presets "
        "have is a mean over fewer pairs."
    )
    return Section("Every score's mean", text, ["score", "pairs", "data sets", "pairs", "with noise and constant"], lines)


def _scores(rows: Rows) -> list[Section]:
    """All scores, a table for each in-distribution set, a heat map of the means."""
    sections = []
    for inside in _unique(row.in_distribution for row in rows):
        own = [row for row in rows if row.in_distribution == inside and row.is_pair]
        outs = _unique(row.out_of_distribution for row in own)
        lines, labels, values = [], [], []
        for preset in _unique(row.preset for row in own):
            for method in _unique(row.method for row in own if row.preset == preset):
                chosen = [row for row in own if row.preset == preset and row.method == method]
                label = chosen[0].label
                count = max(row.in_images for row in chosen)
                lines.append([preset, chosen[0].looks_at, label, f"{count}", *[_cell(chosen, out) for out in outs]])
                labels.append(f"{preset}: {label}")
                values.append([_mean(chosen, out) for out in outs])
        title = f"In-distribution: {datasets.get(inside).title}"
        header = ["preset", "looks at", "score", "images", *outs]
        sections.append(Section(title, "", header, lines, plots.heat_map(values, labels, outs)))
    return sections


def _corruptions(rows: Rows) -> Section:
    """AUROC by severity of the default score and of the plain likelihood, mean over the kinds of corruption."""
    lines: list[list[str]] = []
    curves: dict[str, list[float]] = {}
    trained = [row for row in rows if row.weights == "trained"]
    for preset in _unique(row.preset for row in rows):
        default = next(row.default_score for row in rows if row.preset == preset)
        for method in _unique((default, "nll")):
            chosen = [row for row in trained if row.preset == preset and row.method == method]
            found = [
                [row.auroc for row in chosen if row.out_of_distribution.endswith(f"-{severity}")]
                for severity in datasets.SEVERITIES
            ]
            if all(found):
                means = [mean(values) for values in found]
                lines.append([preset, method, *[f"{value:.3f}" for value in means]])
                if method == default:
                    curves[preset] = means
    text = "Five kinds of corruption of the in-distribution test images, mean AUROC by severity: noticed, or passed over."
    figure = plots.severity_curves(curves) if curves else None
    return Section("Corruptions", text, ["preset", "score", *map(str, datasets.SEVERITIES)], lines, figure)


def _costs(rows: Rows) -> Section:
    """What a score costs."""
    trained = [row for row in rows if row.weights == "trained"]
    lines = []
    for method in _unique(row.method for row in trained):
        own = [row for row in trained if row.method == method]
        rates = [row.images_per_second for row in own]
        lines.append([method, own[0].cost, f"{min(rates):,.0f} to {max(rates):,.0f}", own[0].tag])
    return Section("Cost", "", ["score", "cost", "images a second, over the presets", "tag"], lines)


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _found(rows: Rows, out: str, weights: str) -> list[float]:
    return [row.auroc for row in rows if row.out_of_distribution == out and row.weights == weights]


def _mean(rows: Rows, out: str) -> float | None:
    found = _found(rows, out, "trained")
    return mean(found) if found else None


def _pair_means(rows: Rows, weights: str) -> list[float]:
    """The mean over its seeds of each pair of a preset and a set."""
    pairs: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row.weights == weights:
            pairs.setdefault((row.preset, row.out_of_distribution), []).append(row.auroc)
    return [mean(values) for values in pairs.values()]


def _average(values: Sequence[float]) -> str:
    return f"{mean(values):.4f}" if values else "-"


def _cell(rows: Rows, out: str) -> str:
    return mean_cell(_found(rows, out, "trained"), beside=_found(rows, out, "untrained"))


def _markdown(introduction: str, sections: Iterable[Section]) -> str:
    parts = ["# Benchmark", introduction]
    for section in sections:
        table = markdown_table(section.header, section.lines)
        parts += [part for part in (f"## {section.title}", section.text, table) if part]
    return "\n\n".join(parts) + "\n"


def _page(introduction: str, sections: Iterable[Section]) -> str:
    parts = [f"<h1>Benchmark</h1><p>{html.escape(introduction)}</p>"]
    for section in sections:
        parts.append(f"<h2>{html.escape(section.title)}</h2><p>{html.escape(section.text)}</p>")
        if section.figure is not None:
            file = io.BytesIO()
            section.figure.savefig(file, format="png")
            picture = base64.b64encode(file.getvalue()).decode()
            parts.append(f'<img alt="{html.escape(section.title)}" src="data:image/png;base64,{picture}">')
        rows = ["".join(f"<td>{html.escape(cell)}</td>" for cell in line) for line in section.lines]
        head = "".join(f"<th>{html.escape(name)}</th>" for name in section.header)
        parts.append(f"<table><tr>{head}</tr>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>")
    return _STYLE + "\n".join(parts) + "\n"


_STYLE = """<!doctype html><meta charset="utf-8"><title>keras_ood benchmark</title>
<style>body{font:15px sans-serif;max-width:1200px;margin:2em auto;padding:0 1em}table{border-collapse:collapse;font-size:13px}
td,th{border:1px solid #ccc;padding:3px 7px;text-align:left}img{max-width:100%;display:block;margin:1em 0}</style>
"""
