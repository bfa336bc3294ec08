"""The card of a detector of which nothing was measured."""

import json
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from keras_ood.hub import preset

CARD = "README.md"
TAGS = ("keras_ood", "out-of-distribution-detection", "anomaly-detection")

_TOLD = (
    "format",
    "code_version",
    "family",
    "input_shape",
    "parameters",
    "default_score",
    "calibration_size",
    "golden_scores",
    "files",
)


def write(folder: Path, handle: str, citation: str = "") -> None:
    """Write the card of a preset folder that nobody has measured, and renew its checksums.

    Args:
        folder: Of the preset.
        handle: To load the preset by.
        citation: Of the family's source, Markdown.
    """
    content = preset.read(folder)
    (folder / CARD).write_text(render(content, handle, citation))
    preset.seal(folder, content)


def render(content: dict[str, Any], handle: str, citation: str) -> str:
    """Return the card of a detector of which `preset.json` says no more than `describe` does."""
    data = ModelCardData(license=content.get("license", "unknown"), library_name="keras", tags=[*TAGS, content["family"]])
    calibrated = [f"`{name}` ({size:,} images)" for name, size in content["calibration_size"].items()]
    known = {key: value for key, value in content.items() if key not in _TOLD}
    fields = {
        "header": data.to_yaml(),
        "handle": handle,
        "family": content["family"],
        "shape": "x".join(map(str, content["input_shape"])),
        "parameters": f"{content['parameters']:,}",
        "score": content["default_score"],
        "calibrated": ", ".join(calibrated) or "nothing: `calibrate` it before you ask for p-values",
        "version": content["code_version"],
        "further": "".join(f"\n- {key}: `{json.dumps(value)}`" for key, value in known.items()),
        "source_text": citation,
    }
    return str(ModelCard(_UNMEASURED.format(**fields)))


_UNMEASURED = """---
{header}
---

# A {family} for out-of-distribution detection

```python
import keras_ood

detector = keras_ood.from_pretrained("{handle}")
scores = detector.score(images)              # (N,) float32, higher = more out-of-distribution
```

`images`: (N, height, width, 1 or 3), uint8 or float in 0..1, any size; they are converted to {shape} inside the model.
{parameters} parameters; default score `{score}`; calibrated: {calibrated}. Saved by keras_ood {version}.{further}

**Nothing was measured for this card**: how well the detector tells other images from its own is not known. Measure it with
`keras-ood evaluate`.

## Source

{source_text}
"""
