"""What cards and pages show of exports that were measured."""

from collections.abc import Sequence

from keras_ood.export.measured import MeasuredExport
from keras_ood.tables.markdown import markdown_table

CLOSE = 0.005
"""Of AUROC: an export that differs by more is marked."""


def table(rows: Sequence[MeasuredExport], with_preset: bool = True) -> str:
    """Return exports as a Markdown table, a line each, nothing of none.

    An AUROC that differs by more than `CLOSE` from that of float32 is in bold.
    """
    if not rows:
        return ""
    exact = {(row.preset, row.format): row.auroc for row in rows if row.precision == "float32"}
    header = ["preset"] * with_preset + ["format", "networks in", "MB", "rate", "AUROC", "against", "rank correlation"]
    lines = [
        [f"`{row.preset}`"] * with_preset + [row.format, row.precision, *_cells(row, exact.get((row.preset, row.format)))]
        for row in rows
    ]
    return markdown_table(header, lines)


def _cells(row: MeasuredExport, exact: float | None) -> list[str]:
    if row.bytes is None or row.relative_rate is None or row.auroc is None or row.agreement is None:
        return ["refused", "", "", "", ""]
    found = f"{row.auroc:.4f}"
    differs = exact is not None and abs(row.auroc - exact) > CLOSE
    cell = f"**{found}**" if differs else found
    return [f"{row.bytes / 1e6:.2f}", f"{row.relative_rate:.2f}", cell, row.out_of_distribution, f"{row.agreement:.3f}"]
