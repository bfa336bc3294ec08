"""What a detector says of its own classes, of mild corruptions and of images too simple, at its own thresholds."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from keras_ood import datasets
from keras_ood.calibration import NOMINAL_FPR
from keras_ood.datasets.synthetic import applicable
from keras_ood.evaluation.spectrum import UNIT, spectrum
from keras_ood.evaluation.spectrum_row import LEVELS, PASSES, SpectrumRow
from keras_ood.hub.content import Content
from keras_ood.hub.template import fill
from keras_ood.tables.markdown import markdown_table
from keras_ood.tables.records import read_rows, write_records

CSV = "spectrum.csv"
SHOWN = 3  # classes with the most false alarms

_TEMPLATE = Path(__file__).with_name("spectrum.md.jinja")


def check(detector: Any, inside: str) -> None:
    """Refuse nothing: every detector can be studied so; see `keras_ood.evaluation.studies`."""


def study(detector: Any, inside: str, folder: Path, runs: Path) -> dict[str, Any]:
    """Measure a preset on what needs no other data set, and write `spectrum.csv`; see `keras_ood.evaluation.studies`."""
    made = [name for name in applicable(datasets.get(inside).image_shape) if name not in UNIT]
    rows = spectrum(detector, inside, made, progress=False)
    write_records(folder / CSV, [asdict(row) for row in rows])
    return {"score": detector.default_score, "calibration_images": len(detector.calibration())}


def section(folder: Path, content: Content) -> str | None:
    """Return what a preset's card says of the study; see `keras_ood.evaluation.studies`."""
    if "spectrum" not in content:
        return None
    rows = read_rows(folder / CSV, SpectrumRow)
    of = {kind: [row for row in rows if row.kind == kind] for kind in ("test", "class", "mild", "ood", "unit")}
    test = of["test"][0]
    computed = {
        "images": test.images,
        "alarms": [{"level": level, "share": test.share(level), "interval": test.interval(level)} for level in LEVELS],
        "classes": [f"{row.name} ({_percent(row)})" for row in sorted(of["class"], key=_alarms, reverse=True)[:SHOWN]],
        "units": len(of["unit"]),
        "failed": [f"`{row.name}` ({_percent(row)})" for row in of["unit"] if not row.passes],
        "least": PASSES,
        "table": markdown_table(
            ["images", "AUROC", "full spectrum", "flagged at 1%", "flagged at 5%"], map(_line, of["mild"] + of["ood"])
        ),
    }
    return fill(_TEMPLATE, content["spectrum"] | computed)


def _alarms(row: SpectrumRow) -> float:
    return row.share(NOMINAL_FPR)


def _percent(row: SpectrumRow) -> str:
    return f"{_alarms(row):.1%}"


def _line(row: SpectrumRow) -> list[str]:
    name = f"{row.name}, mild" if row.kind == "mild" else row.name
    aurocs = ("-" if value is None else f"{value:.4f}" for value in (row.auroc, row.auroc_full))
    return [name, *aurocs, *(f"{row.share(level):.1%}" for level in LEVELS)]
