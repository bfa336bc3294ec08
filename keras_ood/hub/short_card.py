"""The card of a detector of which nothing was measured."""

import json
from pathlib import Path

from huggingface_hub import ModelCardData

from keras_ood.hub import preset
from keras_ood.hub.content import Content, promised
from keras_ood.hub.template import render_card

TAGS = ("keras_ood", "out-of-distribution-detection", "anomaly-detection")

_TEMPLATE = Path(__file__).with_name("short_card.md.jinja")
_SHOWN_ELSEWHERE = (
    "format",
    "code_version",
    "family",
    "input_shape",
    "parameters",
    "default_score",
    "calibration_size",
    "golden_scores",
    "map_calibration",
    "files",
)


def write(folder: Path, handle: str, citation: str = "") -> None:
    """Write the card of a preset folder that nobody has measured, and renew its checksums.

    Args:
        folder: Folder of the preset.
        handle: To load the preset by.
        citation: Citation of the family's source, Markdown.
    """
    content = preset.read(folder)
    preset.rewrite(folder, content, preset.CARD, render(content, handle, citation))


def render(content: Content, handle: str, citation: str) -> str:
    """Return the card of a detector of which `preset.json` says no more than `describe` does."""
    data = ModelCardData(license=content.get("license", "unknown"), library_name="keras", tags=[*TAGS, content["family"]])
    computed = {
        "handle": handle,
        "citation": citation,
        "calibrated": [f"`{name}` ({size:,} images)" for name, size in content["calibration_size"].items()],
        "promised": promised(content),
        "further": {key: json.dumps(value) for key, value in content.items() if key not in _SHOWN_ELSEWHERE},
    }
    return render_card(data, _TEMPLATE, {**content, **computed})
