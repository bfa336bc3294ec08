"""The first tables of the report: for each question that is asked of a detector, who answers it best."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from keras_ood import datasets
from keras_ood.benchmark import localisation
from keras_ood.benchmark.means import Rows, pair_means, seed_means, seeds_cell, unique
from keras_ood.benchmark.questions import CORRUPTED, FAR, LOCALISATION, NEAR, SPEED, question
from keras_ood.benchmark.rate import Rate
from keras_ood.benchmark.section import Section

HEADER = ("in-distribution", "preset", "looks at", "score")


def leaderboard(rows: Rows, rates: Sequence[Rate], localised: Sequence[Mapping[str, Any]]) -> list[Section]:
    """Return a table for every question that something was measured for.

    Args:
        rows: All rows of the benchmark.
        rates: Those of `rates.csv`.
        localised: Those of `localisation.csv`.
    """
    default = [row for row in rows if row.method == row.default_score]
    near = (
        "Both sets are of one kind of picture, colour photographs or light shapes on black: content is what differs. "
        "Mean AUROC over these sets, and each of them."
    )
    far = "Data sets of another kind of picture. Mean AUROC over these sets, and each of them."
    sections = [
        _of_sets(default, NEAR, "Near", near),
        _of_sets(default, FAR, "Far", far),
        _corrupted(default),
        _localisation(localised),
        _speed(default, rates),
    ]
    return [section for section in sections if section.lines]


def _of_sets(rows: Rows, asked: str, title: str, text: str) -> Section:
    own = [row for row in rows if question(row.in_distribution, row.out_of_distribution) == asked]
    lines = []
    for known, chosen in _ranked(own):
        means = pair_means(chosen, "trained")
        outs = ", ".join(f"{out} {means[known[1], out]:.3f}" for out in datasets.DATASETS if (known[1], out) in means)
        lines.append([*known, seeds_cell(chosen), outs])
    return Section(title, text, [*HEADER, "AUROC", "of which"], lines, question=asked)


def _corrupted(rows: Rows) -> Section:
    own = [row for row in rows if question(row.in_distribution, row.out_of_distribution) == CORRUPTED]
    mildest, strongest = (f"-{datasets.SEVERITIES[place]}" for place in (0, -1))
    lines = []
    for known, chosen in _ranked([row for row in own if row.out_of_distribution.endswith(strongest)]):
        mild = [row for row in own if row.preset == known[1] and row.out_of_distribution.endswith(mildest)]
        lines.append([*known, seeds_cell(chosen), seeds_cell(mild)])
    text = (
        f"Corrupted images of the in-distribution test split, mean AUROC over {len(datasets.CORRUPTIONS)} kinds. The strongest "
        "are to be noticed; whether the mildest are is for the user to say: under Full spectrum they count as in-distribution."
    )
    header = [*HEADER, f"severity {strongest[1:]}", f"severity {mildest[1:]}"]
    return Section("Corrupted", text, header, lines, question=CORRUPTED)


def _ranked(rows: Rows) -> list[tuple[list[str], Rows]]:
    """The first cells and the rows of every preset, best first within its in-distribution set."""
    found: list[tuple[list[str], Rows]] = []
    for inside in sorted({row.in_distribution for row in rows}, key=list(datasets.DATASETS).index):
        presets = unique(row.preset for row in rows if row.in_distribution == inside)
        groups = {name: [row for row in rows if row.preset == name] for name in presets}
        order = sorted(groups, key=lambda name: mean(seed_means(groups[name], "trained")), reverse=True)
        found += [([inside, name, groups[name][0].looks_at, groups[name][0].method], groups[name]) for name in order]
    return found


def _localisation(rows: Sequence[Mapping[str, Any]]) -> Section:
    groups = {name: group for (name, kind), group in localisation.groups(rows).items() if kind == localisation.STANDARDISED}
    order = sorted(groups, key=lambda name: localisation.column_mean(groups[name], "pro"), reverse=True)
    columns = ("pro", "pixel_auroc", "image_auroc")
    lines = [
        [name, localisation.looks_at(name), *(f"{localisation.column_mean(groups[name], key):.3f}" for key in columns)]
        for name in order
    ]
    text = (
        f"Synthetic defects on {', '.join(localisation.sets(rows))}: means over these sets, one training each, maps "
        "standardised at every position. `inflow-grain` is such a flow, with attention, of grain. More under Localisation."
    )
    header = ["method", "looks at", "PRO", "pixel AUROC", "image AUROC"]
    return Section("Where it is odd", text, header, lines, question=LOCALISATION)


def _speed(rows: Rows, rates: Sequence[Rate]) -> Section:
    """Rates of the default scores, and their shares of the fastest on the same machine."""
    defaults = {row.preset: row.default_score for row in rows}
    own = [rate for rate in rates if defaults.get(rate.preset) == rate.method]
    fastest: dict[str, float] = {}
    for rate in own:
        fastest[rate.machine] = max(rate.images_per_second, fastest.get(rate.machine, 0.0))
    lines = [
        [
            *(rate.in_distribution, rate.preset, rate.looks_at, rate.method),
            f"{rate.images_per_second:,.0f}",
            f"{rate.images_per_second / fastest[rate.machine]:.3f}",
        ]
        for rate in sorted(own, key=lambda rate: rate.images_per_second, reverse=True)
    ]
    text = (
        "Images a second of the default score, whole images in, an encoder's pass counted, and their ratio to the fastest "
        f"of the run. On {'; '.join(fastest)}."
    )
    return Section("Speed", text, [*HEADER, "images a second", "of the fastest"], lines, question=SPEED)
