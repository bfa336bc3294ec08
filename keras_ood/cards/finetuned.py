"""The card of a detector that was fine-tuned on somebody's own images."""

import json
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from keras_ood.cards import sections, tables
from keras_ood.hub.short_card import TAGS
from keras_ood.tables.records import CONVENTION

_WEIGHTS = {"trained": "fine-tuned", "source": "source, recalibrated", "untrained": "untrained"}


def render(content: dict[str, Any], records: tables.Records, handle: str) -> str:
    """Return the card, Markdown; a missing field is an error.

    Args:
        content: Of `preset.json`, as `keras_ood.finetune` writes it.
        records: Of `results.csv`.
        handle: To load the preset by.
    """
    inside, alarms = content["in_distribution"], content["false_positive_rate"]
    data = ModelCardData(
        license=content.get("license", "unknown"),
        library_name="keras",
        tags=[*TAGS, content["family"]],
        model_name=content["name"],
    )
    fields = {
        "header": data.to_yaml(),
        "name": content["name"],
        "family": content["family"],
        "source": content["finetuned_from"],
        "title": inside["title"],
        "licence": inside["licence"],
        "handle": handle,
        "shape": "x".join(map(str, content["input_shape"])),
        "score": content["default_score"],
        "calibration_images": f"{inside['calibration_images']:,}",
        "parts": ", ".join(
            f"{inside[f'{part}_images']:,} {part}" for part in ("training", "validation", "calibration", "test")
        ),
        "duplicates": inside["duplicates"],
        "transfer": content["transfer"],
        "settings": json.dumps(content["settings"]),
        **{key: content["training"][key] for key in ("epochs", "best_epoch", "machine")},
        "seconds": f"{content['training']['seconds']:,.0f}",
        "losses": ", ".join(f"{_WEIGHTS[weights]} {value:.2f}" for weights, value in content["test_nll"].items()),
        "nominal": f"{alarms['nominal']:.0%}",
        "measured": f"{alarms['measured']:.1%}",
        "low": f"{alarms['by_chance'][0]:.1%}",
        "high": f"{alarms['by_chance'][1]:.1%}",
        "images": f"{alarms['images']:,}",
        "compared": _compared(records, content["default_score"]),
        "by_score": tables.by_score(records, content["settings"]["seed"]),
        "convention": CONVENTION,
        "version": content["code_version"],
        "source_text": sections.SOURCES.get(content["family"], ""),
    }
    return str(ModelCard(_TEMPLATE.format(**fields)))


def _compared(records: tables.Records, score: str) -> str:
    """The default score of the fine-tuned, the source's and the untrained network."""
    weights = [name for name in _WEIGHTS if any(record["weights"] == name for record in records)]
    lines = ["| OOD set | " + " | ".join(_WEIGHTS[name] for name in weights) + " |", "|---|" + "---|" * len(weights)]
    for out in dict.fromkeys(record["out_of_distribution"] for record in records):
        lines.append(f"| {out} | " + " | ".join(tables.cell(records, name, out, score) for name in weights) + " |")
    return "\n".join(lines)


_TEMPLATE = """---
{header}
---

# {name}

{family}, fine-tuned from `{source}` to tell images like these from others: {title}.

```python
import keras_ood

detector = keras_ood.from_pretrained("{handle}")
p_values = detector.p_values(images)         # (N,) conformal, against {calibration_images} images kept out of training
flags = detector.detect(images, fpr=0.05)    # (N,) bool
```

`images`: (N, height, width, 1 or 3), uint8 or float in 0..1, any size; they are converted to {shape} inside the model.

## Results

AUROC of the default score, `{score}`; one training. The source beside it was recalibrated on the same images, and so was the
untrained network.

{compared}

The fine-tuned weights:

{by_score}

{convention}

**False alarms.** `detect(fpr=0.05)`: {measured} of {images} test images flagged, {nominal} promised; by chance alone, with as
many images, from {low} to {high} (95 %). Mean nll of the test images in nats: {losses}.

![Curves of the training](training.png)

## How it was trained

- Images: {parts}; {duplicates} left out that the set held twice. Licence of the images: {licence}.
- {transfer}.
- {epochs} epochs, the weights of epoch {best_epoch}, {seconds} s on {machine}; code {version}.
- Settings: `{settings}`

## Source

{source_text}
"""
