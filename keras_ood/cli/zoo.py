"""The zoo as `list` shows it."""

from dataclasses import asdict, fields
from itertools import groupby
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from keras_ood.hub import handles, preset
from keras_ood.hub.content import looks_at
from keras_ood.hub.summary import ENCODER_ALONE, Summary

WIDE = 120
"""Columns of a terminal that shows what is no result too."""

_SUMMARY = tuple(f"auroc_{field.name}" for field in fields(Summary))
_TOLD = ("family", "looks_at", "in_distribution", "parameters", "bytes", "default_score", "auroc", *_SUMMARY)
_NOT_HERE = "not on this machine"
_LAST = ("pixels", _NOT_HERE)


def record(name: str) -> dict[str, Any]:
    """Return what is told of a preset; None for all but its name and place where it is not on this machine."""
    folder, where = handles.find(name)
    told: dict[str, Any] = dict.fromkeys(_TOLD)
    if folder is not None:
        content = preset.read(folder)
        told |= {key: content[key] for key in ("family", "parameters", "default_score", "auroc")}
        told |= {"looks_at": looks_at(content.get("encoder")), "in_distribution": content["in_distribution"]["title"]}
        told |= {"bytes": sum(file["size"] for file in content["files"].values())}
        told |= dict(zip(_SUMMARY, asdict(Summary.of(folder, content)).values(), strict=True))
    return {"preset": name, "where": where, **told}


def table(records: list[dict[str, Any]], width: int) -> Table:
    """Return the presets below what they look at, encoders first; in a narrow terminal without what is no result."""
    wide = width >= WIDE
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True, caption_justify="left")
    shown.add_column("preset", no_wrap=True)
    if wide:
        shown.add_column("parameters", justify="right")
        shown.add_column("MiB", justify="right")
        shown.add_column("score")
    for title in ("AUROC\ntrained", "AUROC\nuntrained", "encoder\nalone"):
        shown.add_column(title, justify="right")
    shown.add_column("worst set")
    for (_, group), members in groupby(sorted(records, key=_group), key=_group):
        shown.add_row(Text(group.replace(", ", ",\n"), style="bold"))
        for member in members:
            shown.add_row(member["preset"], *([] if group == _NOT_HERE else _cells(member, wide)))
    rest = "" if wide else f" A terminal of {WIDE} columns, or --json, has parameters, sizes and scores too."
    shown.caption = f"AUROC: mean over a preset's OOD sets. Encoder alone: distance in its features ({ENCODER_ALONE}).{rest}"
    return shown


def _group(told: dict[str, Any]) -> tuple[int, str]:
    group = told["looks_at"] or _NOT_HERE
    return _LAST.index(group) + 1 if group in _LAST else 0, group


def _cells(told: dict[str, Any], wide: bool) -> list[str]:
    cells = [f"{told['parameters']:,}", f"{told['bytes'] / 2**20:.2f}", told["default_score"]] if wide else []
    means = (told[f"auroc_{key}"] for key in ("trained", "untrained", "encoder_alone"))
    cells += ["-" if value is None else f"{value:.3f}" for value in means]
    return [*cells, f"{told['auroc_worst']:.3f} {told['auroc_worst_set']}"]
