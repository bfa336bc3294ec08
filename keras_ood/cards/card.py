"""Model cards, rendered from `preset.json` and `results.csv`; a missing field is an error."""

import json
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData

from keras_ood import models
from keras_ood.calibration import guarantees
from keras_ood.cards import finetuned, tables
from keras_ood.cards.exports import CLOSE, table
from keras_ood.evaluation.metrics import NAMES
from keras_ood.evaluation.result import Result
from keras_ood.evaluation.studies import SECTIONS
from keras_ood.export.measured import MeasuredExport
from keras_ood.hub import handles, manifest, preset, short_card
from keras_ood.hub.content import Content, looks_at, promised
from keras_ood.hub.short_card import TAGS
from keras_ood.hub.template import render_card
from keras_ood.tables.markdown import markdown_table
from keras_ood.tables.records import CONVENTION, read_rows

RESULTS = "results.csv"
WEAK = 0.9  # a default score's AUROC below this is named among the failures

_TEMPLATE = Path(__file__).parent / "templates" / "preset.md.jinja"


def write(folder: Path, handle: str = "path/to/this/folder", exports: Sequence[MeasuredExport] = ()) -> None:
    """Render the card of a preset folder, write it as `README.md`, renew the checksums in `preset.json` and the manifest.

    A folder that no recipe has measured gets the short card: what the detector itself knows, and `handle` to load it by.
    `exports` are those that were measured, of any presets.
    """
    content = preset.read(folder)
    if "finetuned_from" in content:
        text = finetuned.render(content, read_rows(folder / RESULTS, Result), handle, _citation(content))
    elif RESULTS in content["files"]:
        text = render(folder, exports)
    else:
        text = short_card.render(content, handle, _citation(content))
    preset.rewrite(folder, content, preset.CARD, text)
    if folder.resolve().parent == handles.zoo_folder().resolve():
        manifest.renew(folder.name, preset.sha256(folder / preset.PRESET))


def address(folder: Path, handle: str) -> None:
    """Render the card of a fine-tuned preset again for the place where it is published; others keep theirs."""
    content = preset.read(folder)
    if "finetuned_from" in content:
        preset.verify(folder, content)
        write(folder, handle)


def render(folder: Path, exports: Sequence[MeasuredExport] = ()) -> str:
    """Return the card of a preset folder.

    Presets beside it that share its in-distribution set stand in the same table.

    Raises:
        KeyError: A field is missing.
    """
    content = preset.read(folder)
    results = read_rows(folder / RESULTS, Result)
    seed = content["training"]["seed"]
    computed = {
        "model_json": json.dumps(content["model"]),
        "side_by_side": _side_by_side(folder.parent, folder.name, content["in_distribution"]["name"]),
        "compared": max(row.in_images for row in results if row.weights == "untrained"),
        "by_score": tables.by_score(results, seed),
        "convention": CONVENTION,
        "sections": [text for section in SECTIONS if (text := section(folder, content)) is not None],
        "close": CLOSE,
        "exports": table([row for row in exports if row.preset == folder.name], with_preset=False),
        "promised": promised(content),
        "beyond_chance": _beyond_chance(content),
        "weak_below": WEAK,
        "weak": _weak(content["auroc"]),
        "citation": _citation(content),
    }
    return render_card(_head(content, tables.shipped(results, seed)), _TEMPLATE, {**content, **computed})


def _beyond_chance(content: Content) -> bool:
    """Whether more test images were flagged than in 99.5 % of calibrations with images drawn alike."""
    alarms, size = content["false_positive_rate"], content["calibration_size"][content["default_score"]]
    law = guarantees.false_alarms(size, guarantees.rank(size, alarms["nominal"]), alarms["images"])
    return bool(round(alarms["measured"] * alarms["images"]) > law.ppf(0.995))


def _citation(content: Content) -> str:
    family = getattr(models, content["family"], None)
    return str(getattr(family, "citation", ""))


def _head(content: Content, results: tables.Results) -> ModelCardData:
    """What the Hub reads: licence, tags, and the metrics of the default score."""
    inside, score = content["in_distribution"], content["default_score"]
    return ModelCardData(
        license="apache-2.0",
        library_name="keras",
        tags=[*TAGS, content["family"]],
        datasets=[inside["name"]],
        model_name=content["name"],
        eval_results=[
            EvalResult(
                task_type="out-of-distribution-detection",
                dataset_type=row.out_of_distribution,
                dataset_name=f"{inside['title']} test against {row.out_of_distribution}",
                metric_type=metric,
                metric_name=f"{metric}, {score}",
                metric_value=getattr(row, metric),
            )
            for row in results
            if row.method == score
            for metric in NAMES
        ],
    )


def _side_by_side(zoo: Path, own: str, dataset: str) -> str:
    """AUROC of every score for every preset of a data set, trained, untrained and beside; mean and sd over the seeds."""
    columns = {}
    for name in dict.fromkeys((*handles.list_models(), own)):
        if (zoo / name / preset.PRESET).exists():
            content = preset.read(zoo / name)
            if content["in_distribution"]["name"] == dataset:
                results = read_rows(zoo / name / RESULTS, Result)
                columns[f"{name}{_tag(content)}"] = (results, "trained")
                others = dict.fromkeys(row.weights for row in results if row.weights != "trained")
                columns |= {f"{name}, {weights}{_tag(content, weights)}": (results, weights) for weights in others}
    pairs = dict.fromkeys((row.out_of_distribution, row.method) for results, _ in columns.values() for row in results)
    rows = [
        [out, f"`{score}`", *(tables.cell(results, weights, out, score) for results, weights in columns.values())]
        for out, score in pairs
    ]
    return markdown_table(["OOD set", "score", *columns], rows)


def _tag(content: Content, weights: str = "trained") -> str:
    """What a column's detector looks through, in brackets; nothing for pixels."""
    encoder = content.get("encoders_beside", {}).get(weights, content.get("encoder"))
    return "" if encoder is None else f" ({looks_at(encoder)})"


def _weak(auroc: dict[str, float]) -> list[str]:
    """The sets that the default score does not tell from the detector's own, worst first."""
    return [f"`{name}` ({value:.3f})" for name, value in sorted(auroc.items(), key=lambda item: item[1]) if value < WEAK]
