"""The tables of `spectrum.csv`, Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean

from keras_ood.benchmark.spectrum import Spectrum, aurocs, by_set
from keras_ood.calibration import NOMINAL_FPR
from keras_ood.datasets import CORRUPTIONS
from keras_ood.datasets.class_names import NEAR_CIFAR10
from keras_ood.evaluation.spectrum import UNIT
from keras_ood.evaluation.spectrum_row import LEVELS, SpectrumRow
from keras_ood.tables.markdown import markdown_table


def report(records: Sequence[Mapping[str, str]]) -> str:
    """Return all tables."""
    presets = Spectrum.all_of(records)
    parts = [
        f"## False alarms, and what fails\n\n{_summary(presets)}",
        f"## Power\n\n{markdown_table(*by_set(presets, _power))}",
        f"## Full spectrum\n\n{markdown_table(*by_set(presets, aurocs))}",
        f"## Mild corruptions\n\n{_shares(presets, 'mild', CORRUPTIONS)}",
        f"## Unit tests\n\n{_shares(presets, 'unit', UNIT)}",
        f"## False alarms by class\n\n{_by_class(presets)}",
        f"## CIFAR-100 by class\n\n{_foreign_classes(presets)}",
    ]
    return "\n\n" + "\n\n".join(parts) + "\n\n"


def _summary(presets: Iterable[Spectrum]) -> str:
    header = ["preset", "test images", "flagged at 1 %", "at 5 %", "untrained at 5 %", "unit tests failed", "untrained"]
    lines = []
    for preset in presets:
        trained, untrained = (preset.of("test", weights)[preset.in_distribution] for weights in ("trained", "untrained"))
        failed = [str(_failures(preset.of("unit", weights))) for weights in ("trained", "untrained")]
        shares = [_with_interval(trained, level) for level in LEVELS] + [_with_interval(untrained, NOMINAL_FPR)]
        lines.append([f"`{preset.preset}`", f"{trained.images:,}", *shares, *failed])
    return markdown_table(header, lines)


def _failures(unit: Mapping[str, SpectrumRow]) -> int:
    return sum(not row.passes for row in unit.values())


def _with_interval(row: SpectrumRow, level: float) -> str:
    low, high = row.interval(level)
    return f"{100 * row.share(level):.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _percent(row: SpectrumRow) -> str:
    return f"{100 * row.share(NOMINAL_FPR):.0f}"


def _power(row: SpectrumRow) -> str:
    return " / ".join(f"{100 * row.share(level):.0f}" for level in reversed(LEVELS))


def _shares(presets: Iterable[Spectrum], kind: str, names: Iterable[str]) -> str:
    names = list(names)
    lines = [[f"`{preset.preset}`", *(preset.beside(kind, name, _percent) for name in names)] for preset in presets]
    return markdown_table(["preset", *(name.replace("_", " ") for name in names)], lines)


def _by_class(presets: Sequence[Spectrum]) -> str:
    """A table for each data set with classes; a star where the exact interval leaves out what was promised."""
    tables = []
    for inside in dict.fromkeys(preset.in_distribution for preset in presets):
        own = [preset for preset in presets if preset.in_distribution == inside and preset.of("class")]
        if own:
            names = list(own[0].of("class"))
            lines = [[f"`{preset.preset}`", *(_starred(preset.of("class")[name]) for name in names)] for preset in own]
            tables.append(markdown_table([f"{inside}: preset", *names], lines))
    return "\n\n".join(tables)


def _starred(row: SpectrumRow) -> str:
    low, high = row.interval(NOMINAL_FPR)
    return f"{100 * row.share(NOMINAL_FPR):.1f}" + ("" if low <= NOMINAL_FPR <= high else "*")


def _foreign_classes(presets: Iterable[Spectrum]) -> str:
    """AUROC and power by class, hardest first for those that look through an encoder; before them their means."""
    own = [preset for preset in presets if preset.of("ood class")]
    if not own:
        return "Not measured."
    seeing = [preset for preset in own if preset.looks_at == "encoder"] or own
    order = sorted(own[0].of("ood class"), key=lambda name: _mean_auroc(seeing, [name]))
    far = [name for name in order if name not in NEAR_CIFAR10]
    lines = [[title, *(_means(preset, names) for preset in own)] for title, names in _titled(order, far).items()]
    for name in order:
        title = name.replace("_", " ") + (f" (near: {NEAR_CIFAR10[name]})" if name in NEAR_CIFAR10 else "")
        found = [preset.of("ood class")[name] for preset in own]
        lines.append([title, *(f"{row.auroc:.3f} / {_percent(row)}" for row in found)])
    return markdown_table(["class", *(f"`{preset.preset}`" for preset in own)], lines)


def _titled(every: Sequence[str], far: Sequence[str]) -> dict[str, Sequence[str]]:
    return {f"all {len(every)}": every, f"without the {len(every) - len(far)} near ones": far}


def _means(preset: Spectrum, names: Sequence[str]) -> str:
    trained, untrained = (_mean_auroc([preset], names, weights) for weights in ("trained", "untrained"))
    power = mean(preset.of("ood class")[name].share(NOMINAL_FPR) for name in names)
    return f"{trained:.3f} ({untrained:.3f}) / {100 * power:.0f}"


def _mean_auroc(presets: Iterable[Spectrum], names: Sequence[str], weights: str = "trained") -> float:
    found = [preset.of("ood class", weights) for preset in presets]
    return mean(row.auroc for rows in found for row in map(rows.__getitem__, names) if row.auroc is not None)
