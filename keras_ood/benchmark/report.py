"""What the benchmark found, as one CSV file, Markdown, and a page that a reader can filter."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from keras_ood.benchmark import localisation, page, runner
from keras_ood.benchmark.leaderboard import leaderboard
from keras_ood.benchmark.means import Rows, unique
from keras_ood.benchmark.measurement import Measurement
from keras_ood.benchmark.rate import Rate
from keras_ood.benchmark.section import Section
from keras_ood.benchmark.spectrum import Spectrum, aurocs, by_set
from keras_ood.benchmark.tables import all_scores
from keras_ood.hub import handles
from keras_ood.tables.markdown import markdown_table
from keras_ood.tables.records import CONVENTION, read_records, typed_rows, write_records

MARKDOWN, PAGE = "README.md", "index.html"
SPECTRUM, LOCALISATION = "spectrum.csv", "localisation.csv"


def write_report(folder: Path) -> None:
    """Write `results.csv`, `README.md` and `index.html` from the finished cells of `folder`.

    Rows of presets of the zoo that `results.csv` has and no cell has stay: a few presets can be measured, and the rest is as it
    was. `rates.csv`, `spectrum.csv` and `localisation.csv` have their tables where they are there.

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
    board, sections, introduction = contents(folder, rows)
    (folder / MARKDOWN).write_text(markdown(introduction, board, sections), encoding="utf-8")
    (folder / PAGE).write_text(page.render(introduction, board, sections, rows), encoding="utf-8")


def contents(folder: Path, rows: Rows) -> tuple[list[Section], list[Section], str]:
    """Return the leaderboard, the other sections and the introduction of a report.

    Args:
        folder: Where the tables beside the results are.
        rows: The results.
    """
    rates, spectrum, localised = (_beside(folder / name) for name in (runner.RATES, SPECTRUM, LOCALISATION))
    timed = typed_rows(rates, Rate)
    sections = [*all_scores(rows, timed), *_full_spectrum(spectrum), *_localisation(localised)]
    introduction = (
        "AUROC, OOD positive, mean ± standard deviation over the training seeds, the untrained networks in brackets. "
        f"{CONVENTION} All metrics with their intervals are in `results.csv`. Rows tagged *transductive* depend on the batch "
        "under test and do not compare with the others. Detectors that look at pixels and those that look through an encoder, "
        "which was trained on other images and perhaps their labels, stand in the same tables, and every row says which. "
        "The leaderboard has the default scores, which no out-of-distribution image chose. Measured on "
        f"{'; '.join(unique(row.machine for row in rows))}."
    )
    return leaderboard(rows, timed, localised), sections, introduction


def _beside(path: Path) -> list[dict[str, str]]:
    return read_records(path) if path.exists() else []


def _kept(path: Path, measured: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows of a table of results that stay beside those that were measured."""
    rows = _beside(path)
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


def _full_spectrum(records: Sequence[dict[str, str]]) -> list[Section]:
    """AUROC of the default scores once mildly corrupted images count as in-distribution."""
    if not records:
        return []
    text = (
        "AUROC of the shipped network's default score → the same with mildly corrupted test images counted as in-distribution, "
        "the untrained network's in brackets. Power and false alarms are in the "
        "documentation, [At the shipped thresholds](../docs/spectrum.md)."
    )
    presets = Spectrum.all_of(records)
    (first, *names), lines = by_set(presets, aurocs)
    lines = [[line[0], preset.looks_at, *line[1:]] for preset, line in zip(presets, lines, strict=True)]
    return [Section("Full spectrum", text, [first, "looks at", *names], lines)]


def _localisation(rows: Sequence[dict[str, str]]) -> list[Section]:
    """Every method's maps."""
    if not rows:
        return []
    text = (
        f"Means over {', '.join(localisation.sets(rows))}; of times medians. How it was measured, and each set by itself, is "
        "in the documentation, [Where is it odd?](../docs/localisation.md)."
    )
    lines = [
        [method, localisation.looks_at(method), kind, *localisation.cells(group)]
        for (method, kind), group in localisation.groups(rows).items()
    ]
    return [Section("Localisation", text, ["method", "looks at", "map", *localisation.HEAD], lines)]


def markdown(introduction: str, board: Iterable[Section], sections: Iterable[Section]) -> str:
    """Return the report for GitHub."""
    parts = [
        "# Benchmark",
        introduction,
        "[A page for the browser](index.html) has every number, to be filtered and sorted.",
        "## Leaderboard",
    ]
    for level, found in (("###", board), ("##", sections)):
        for section in found:
            table = markdown_table(section.header, section.lines)
            parts += [part for part in (f"{level} {section.title}", section.text, table) if part]
    return "\n\n".join(parts) + "\n"
