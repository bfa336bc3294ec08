"""Cards are what their command writes from measured files, and refuse gaps."""

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

import keras_ood
from keras_ood.cards import card
from keras_ood.evaluation.result import Result
from keras_ood.evaluation.studies import SECTIONS
from keras_ood.export.measured import MeasuredExport
from keras_ood.hub import handles, preset
from keras_ood.hub.template import fill
from keras_ood.tables.records import read_rows

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", keras_ood.list_models())
def test_cards_are_up_to_date(name):
    """The committed card is what its files render to today, and a valid Hub card."""
    folder = handles.resolve(name)
    text = (folder / "README.md").read_text()
    assert text == card.render(folder, read_rows(ROOT / "benchmark" / "exports.csv", MeasuredExport))
    data = ModelCard(text).data
    assert data.license == "apache-2.0"
    assert len(data.eval_results) == 4 * len(preset.read(folder)["auroc"])
    for name, value in preset.read(folder)["auroc"].items():
        assert [(r.dataset_type, r.metric_value) for r in data.eval_results if r.metric_type == "auroc"].count(
            (name, value)
        ) == 1


@pytest.mark.parametrize("field", ["auroc", "training", "in_distribution", "false_positive_rate", "recipe_sha256", "seeds"])
def test_a_missing_field_is_an_error(tmp_path, field):
    """No card with a gap."""
    folder = shutil.copytree(handles.resolve("tilted-vae-digits"), tmp_path / "copy")
    content = json.loads((folder / "preset.json").read_text())
    del content[field]
    (folder / "preset.json").write_text(json.dumps(content))
    with pytest.raises(KeyError, match=field):
        card.render(folder)


def test_exports_that_were_measured_are_on_the_card():
    """A line each, bold where the AUROC moved, a refusal by its name; a preset without any has no such section."""
    known = {"preset": "tilted-vae-digits", "format": "onnx", "out_of_distribution": "mnist", "images": 500}
    none = {"bytes": None, "relative_rate": None, "auroc": None, "agreement": None}
    rows = [
        MeasuredExport(**known, precision="float32", bytes=4_000_000, relative_rate=1.0, auroc=0.95, agreement=1.0),
        MeasuredExport(**known, precision="float16", bytes=2_000_000, relative_rate=0.9, auroc=0.9501, agreement=0.999),
        MeasuredExport(**known, precision="int8", bytes=1_000_000, relative_rate=2.0, auroc=0.94, agreement=0.985),
        MeasuredExport(**known | none | {"format": "litert"}, precision="int8"),
    ]
    text = card.render(handles.resolve("tilted-vae-digits"), rows)
    assert "| onnx | float16 | 2.00 | 0.90 | 0.9501 | mnist | 0.999 |" in text
    assert "| onnx | int8 | 1.00 | 2.00 | **0.9400** | mnist | 0.985 |" in text
    assert "| litert | int8 | refused |" in text
    assert "## Exported" not in card.render(handles.resolve("tilted-vae-cifar10"), rows)


def test_a_template_has_no_gaps(tmp_path):
    """A field that is missing, or one within a field, is named by the error, with the template."""
    template = tmp_path / "card.md.jinja"
    template.write_text("{{ name }}, {{ training.seconds | thousands }} s\n")
    assert fill(template, {"name": "x", "training": {"seconds": 1234.5}, "further": 1}) == "x, 1,234 s"
    for fields, missing in (({"name": "x"}, "training"), ({"name": "x", "training": {}}, "seconds")):
        with pytest.raises(KeyError, match=rf"card\.md\.jinja.*{missing}"):
            fill(template, fields)


def test_a_section_stands_where_its_data_are():
    """A preset that was not studied has a card without sections, whatever its family."""
    folder = handles.resolve("tilted-vae-digits")
    assert [section(folder, preset.read(folder)) for section in SECTIONS] == [None] * len(SECTIONS)
    for name in ("tilted-vae-cifar10-pixels", "inflow-cifar10-pixels"):
        folder = handles.resolve(name)
        texts = [text for section in SECTIONS if (text := section(folder, preset.read(folder)))]
        assert [text.splitlines()[0] for text in texts] == {
            "tilted-vae-cifar10-pixels": ["### Samples", "### Choice of tilt and latent size"],
            "inflow-cifar10-pixels": ["### Sets of images (not comparable with anything per image)", "### Adversarial images"],
        }[name]


@pytest.mark.parametrize("name", keras_ood.list_models())
def test_untrained_rows_stand_beside(name):
    """Every set and score has trained and untrained rows, for every seed of the recipe."""
    folder = handles.resolve(name)
    content = preset.read(folder)
    results = read_rows(folder / "results.csv", Result)
    keys = {(row.weights, row.seed, row.out_of_distribution, row.method) for row in results}
    methods = {row.method for row in results}
    for seed in content["seeds"]:
        for out in content["auroc"]:
            for method in methods:
                assert ("trained", seed, out, method) in keys
                assert ("untrained", seed, out, method) in keys
