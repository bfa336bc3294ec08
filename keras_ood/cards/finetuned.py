"""The card of a detector that was fine-tuned on somebody's own images."""

import json
from pathlib import Path
from typing import Any, cast

from huggingface_hub import ModelCardData

from keras_ood.cards import tables
from keras_ood.hub.content import Content, promised
from keras_ood.hub.short_card import TAGS
from keras_ood.hub.template import render_card
from keras_ood.tables.markdown import markdown_table
from keras_ood.tables.records import CONVENTION

_TEMPLATE = Path(__file__).parent / "templates" / "finetuned.md.jinja"
_PLACED = {"stretch": "stretched", "crop": "cropped in the middle, then resized", "pad": "resized, padded with grey"}
_WEIGHTS = {"trained": "this detector", "source": "source, recalibrated", "untrained": "untrained"}


def render(content: Content, results: tables.Results, handle: str, citation: str) -> str:
    """Return the card, Markdown.

    Args:
        content: Content of `preset.json`, as `keras_ood.finetune` writes it.
        results: Results of `results.csv`.
        handle: To load the preset by.
        citation: Citation of the family's source, Markdown.

    Raises:
        KeyError: A field is missing.
    """
    data = ModelCardData(
        license=content.get("license", "unknown"),
        library_name="keras",
        tags=[*TAGS, content["family"]],
        model_name=content["name"],
    )
    computed = {
        "handle": handle,
        "citation": citation,
        "chosen": "choice" in content,
        "placed": _PLACED[content.get("aspect", "stretch")],
        "settings_json": json.dumps(content["settings"]),
        "losses": [f"{_WEIGHTS[weights]} {value:.2f}" for weights, value in content["test_nll"].items()],
        "compared": _compared(results, content["default_score"]),
        "by_score": tables.by_score(results, content["settings"]["seed"]),
        "together": _together(cast("dict[str, Any]", content["in_distribution"]).get("groups")),
        "densities": _densities(content.get("choice")),
        "convention": CONVENTION,
        "promised": promised(content),
    }
    return render_card(data, _TEMPLATE, {**content, **computed})


def _together(groups: int | None) -> str:
    """Which images were kept on one side of each split."""
    return "" if groups is None else f", in {groups:,} groups that were kept together"


def _densities(choice: dict[str, Any] | None) -> str:
    """The held-out log-density by the size of the memory, in nats."""
    if choice is None:
        return ""
    found = choice["held_out_log_density"]
    return markdown_table(["centres", *found], [["log-density, nats", *(f"{value:.1f}" for value in found.values())]])


def _compared(results: tables.Results, score: str) -> str:
    """The default score of the fine-tuned, the source's and the untrained network."""
    weights = [name for name in _WEIGHTS if any(row.weights == name for row in results)]
    sets = dict.fromkeys(row.out_of_distribution for row in results)
    rows = [[out, *(tables.cell(results, name, out, score) for name in weights)] for out in sets]
    return markdown_table(["OOD set", *(_WEIGHTS[name] for name in weights)], rows)
