"""Model cards, rendered from `preset.json` and `results.csv`; a missing field is an error."""

import json
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from keras_ood.cards import finetuned, sections, tables
from keras_ood.evaluation.metrics import NAMES
from keras_ood.hub import handles, manifest, preset, short_card
from keras_ood.hub.short_card import CARD, TAGS
from keras_ood.tables.records import CONVENTION, read_records

RESULTS = "results.csv"
WEAK = 0.9  # a default score's AUROC below this is named among the failures

_README_SETS = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "gtsrb": "GTSRB",
    "constant": "constant",
    "blurred": "blurred",
}

_README_SCORES = ("nll", "mahalanobis")  # beside the default score, where a preset has them


def write(folder: Path, handle: str = "path/to/this/folder") -> None:
    """Render the card of a preset folder, write it as `README.md`, renew the checksums in `preset.json` and the manifest.

    A folder that no recipe has measured gets the short card: what the detector itself knows, and `handle` to load it by.
    """
    content = preset.read(folder)
    if "finetuned_from" in content:
        text = finetuned.render(content, read_records(folder / RESULTS), handle)
    else:
        text = (
            render(folder)
            if (folder / RESULTS).exists()
            else short_card.render(content, handle, sections.SOURCES.get(content["family"], ""))
        )
    (folder / CARD).write_text(text)
    preset.seal(folder, content)
    if folder.resolve().parent == handles.zoo_folder().resolve():
        manifest.renew(folder.name, preset.sha256(folder / preset.PRESET))


def address(folder: Path, handle: str) -> None:
    """Render the card of a fine-tuned preset again for the place where it is published; others keep theirs."""
    content = preset.read(folder)
    if "finetuned_from" in content:
        preset.verify(folder, content)
        write(folder, handle)


def render(folder: Path) -> str:
    """Return the card of a preset folder.

    Presets beside it that share its in-distribution set stand in the same table.
    """
    content = preset.read(folder)
    records = read_records(folder / RESULTS)
    score = content["default_score"]
    inside = content["in_distribution"]
    data = ModelCardData(
        license="apache-2.0",
        library_name="keras",
        tags=[*TAGS, content["family"]],
        datasets=[inside["name"]],
        model_name=content["name"],
        eval_results=[
            EvalResult(
                task_type="out-of-distribution-detection",
                dataset_type=record["out_of_distribution"],
                dataset_name=f"{inside['title']} test against {record['out_of_distribution']}",
                metric_type=metric,
                metric_name=f"{metric}, {score}",
                metric_value=round(float(record[metric]), 5),
            )
            for record in tables.shipped(records, content["training"]["seed"])
            if record["method"] == score
            for metric in NAMES
        ],
    )
    fields = {
        "header": data.to_yaml(),
        "name": content["name"],
        "family": content["family"],
        "title": inside["title"],
        "source": inside["source"],
        "licence": inside["licence"],
        "model": json.dumps(content["model"]),
        "shape": "x".join(map(str, content["input_shape"])),
        "parameters": f"{content['parameters']:,}",
        "score": score,
        "training_images": f"{inside['training_images']:,}",
        "calibration_images": f"{inside['calibration_images']:,}",
        "gate_images": f" The gate keeps {inside['gate_images']:,} more to itself." if inside.get("gate_images") else "",
        "test_images": f"{inside['test_images']:,}",
        "epochs": content["training"]["epochs"],
        "seconds": f"{content['training']['seconds']:,.0f}",
        "machine": content["training"]["machine"],
        "seed": content["training"]["seed"],
        "seeds": ", ".join(map(str, content["seeds"])),
        "digest": content["recipe_sha256"][:12],
        "version": content["code_version"],
        "nominal": f"{content['false_positive_rate']['nominal']:.0%}",
        "measured": f"{content['false_positive_rate']['measured']:.2%}",
        "side_by_side": _side_by_side(folder.parent, inside["name"]),
        "compared": f"{max(int(record['in_images']) for record in records if record['weights'] == 'untrained'):,}",
        "by_score": tables.by_score(records, content["training"]["seed"]),
        "failures": _failures(content["auroc"], score),
        "convention": CONVENTION,
        "extra": sections.extra(folder, content),
        "source_text": sections.SOURCES[content["family"]],
    }
    return str(ModelCard(_TEMPLATE.format(**fields)))


def preset_table() -> str:
    """Return the README's table of the zoo, Markdown: AUROC by score, mean and sd over the seeds, untrained in brackets."""
    lines = [
        "| preset | parameters | score | " + " | ".join(f"→ {title}" for title in _README_SETS.values()) + " |",
        "|---|---|---|" + "---|" * len(_README_SETS),
    ]
    for name in handles.list_models():
        folder = handles.resolve(name)
        content, records = preset.read(folder), read_records(folder / RESULTS)
        measured = {record["method"] for record in records}
        for score in dict.fromkeys((content["default_score"], *(name for name in _README_SCORES if name in measured))):
            cells = [tables.cell(records, "trained", out, score, untrained=True) for out in _README_SETS]
            lines.append(f"| `{name}` | {content['parameters']:,} | `{score}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _side_by_side(zoo: Path, dataset: str) -> str:
    """AUROC of every score for every preset of a data set, trained and untrained; mean and sd over the seeds."""
    columns = {}
    for name in handles.list_models():
        if (zoo / name / preset.PRESET).exists() and preset.read(zoo / name)["in_distribution"]["name"] == dataset:
            records = read_records(zoo / name / RESULTS)
            columns[name] = (records, "trained")
            columns[f"{name}, untrained"] = (records, "untrained")
    rows = {(record["out_of_distribution"], record["method"]): None for records, _ in columns.values() for record in records}
    lines = ["| OOD set | score | " + " | ".join(columns) + " |", "|---|---|" + "---|" * len(columns)]
    for out, score in rows:
        cells = [tables.cell(records, weights, out, score) for records, weights in columns.values()]
        lines.append(f"| {out} | `{score}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _failures(auroc: dict[str, float], score: str) -> str:
    weak = [f"`{name}` ({value:.3f})" for name, value in sorted(auroc.items(), key=lambda item: item[1]) if value < WEAK]
    if not weak:
        return f"No set above has an AUROC below {WEAK} under `{score}`; sets not listed here were not tried."
    return f"AUROC below {WEAK} under `{score}`, the default score: {', '.join(weak)}. Do not rely on it for such images."


_TEMPLATE = """---
{header}
---

# {name}

A `{family}` that tells images like those of {title} from others. Score, p-value and flag of an image:

```python
import keras_ood

detector = keras_ood.from_pretrained("{name}")
scores = detector.score(images)              # (N,) float32, higher = more out-of-distribution
p_values = detector.p_values(images)         # (N,) conformal, against {calibration_images} held-out images
flags = detector.detect(images, fpr=0.05)    # (N,) bool
```

`images`: (N, height, width, 1 or 3), uint8 or float in 0..1, any size; they are converted to {shape} inside the model.

## Results

AUROC, mean ± standard deviation over the training seeds ({seeds} here), beside the other presets of the same data set and the
untrained networks. The weights in this folder are measured on the full test splits (in-distribution: {test_images}
images), other seeds and untrained networks on up to {compared} images of each set. The default score is `{score}`. No
out-of-distribution image was used to train or calibrate.

{side_by_side}

The weights in this folder (seed {seed}):

{by_score}

{convention}

**False alarms.** `detect(fpr=0.05)`: {measured} of the {test_images} in-distribution test images flagged, {nominal}
promised.{extra}

## Where it fails

{failures}

## How it was trained

- Model: `{model}`; {parameters} parameters.
- Data: {title} ({source}; licence: {licence}).
  {training_images} images of the training split; {calibration_images} others of it for calibration, never trained
  on.{gate_images}
- {epochs} epochs, {seconds} s on {machine}; seed {seed}; code {version}, recipe `{digest}`.
- Again, with one command: `keras-ood train zoo/{name}/recipe.toml`

## Source

{source_text}
"""
