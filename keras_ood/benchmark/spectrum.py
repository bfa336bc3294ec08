"""What `spectrum.csv` says of every preset at its shipped thresholds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from keras_ood.datasets import DATASETS, SYNTHETIC
from keras_ood.evaluation.spectrum_row import SpectrumRow
from keras_ood.tables.records import typed_rows

NONE = "-"


@dataclass(frozen=True)
class Spectrum:
    """A preset: what is known of it, and its rows by weights, then by kind and name."""

    preset: str
    in_distribution: str
    looks_at: str
    rows: Mapping[str, Mapping[tuple[str, str], SpectrumRow]]

    @classmethod
    def all_of(cls, records: Sequence[Mapping[str, str]]) -> list["Spectrum"]:
        """Return every preset of a table, by in-distribution set and by what it looks at."""
        found: dict[tuple[str, str, str], dict[str, dict[tuple[str, str], SpectrumRow]]] = {}
        for record, row in zip(records, typed_rows(records, SpectrumRow), strict=True):
            known = record["in_distribution"], record["looks_at"], record["preset"]
            found.setdefault(known, {}).setdefault(record["weights"], {})[row.kind, row.name] = row
        return [cls(preset, inside, looks_at, rows) for (inside, looks_at, preset), rows in sorted(found.items())]

    def of(self, kind: str, weights: str = "trained") -> dict[str, SpectrumRow]:
        """Return the rows of a kind by name."""
        return {name: row for (found, name), row in self.rows[weights].items() if found == kind}

    def beside(self, kind: str, name: str, cell: Callable[[SpectrumRow], str]) -> str:
        """Return the cell of the shipped network, that of the untrained one in brackets."""
        trained, untrained = (self.of(kind, weights).get(name) for weights in ("trained", "untrained"))
        return NONE if trained is None or untrained is None else f"{cell(trained)} ({cell(untrained)})"


def by_set(presets: Sequence[Spectrum], cell: Callable[[SpectrumRow], str]) -> tuple[list[str], list[list[str]]]:
    """Return head and lines of a table: a line for each preset, a column for each out-of-distribution set."""
    found = {name for preset in presets for name in preset.of("ood")}
    names = [name for name in (*DATASETS, *SYNTHETIC) if name in found]
    lines = [[f"`{preset.preset}`", *(preset.beside("ood", name, cell) for name in names)] for preset in presets]
    return ["preset", *names], lines


def aurocs(row: SpectrumRow) -> str:
    """Return AUROC, and what it falls to once mildly corrupted images count as in-distribution."""
    return f"{row.auroc:.3f} → {row.auroc_full:.3f}"
