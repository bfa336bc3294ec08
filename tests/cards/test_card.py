"""Cards are what their command writes from measured files, and refuse gaps."""

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

import keras_ood
from keras_ood.benchmark import speed
from keras_ood.cards import card
from keras_ood.hub import handles, preset

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize("name", keras_ood.list_models())
def test_cards_are_up_to_date(name):
    """The committed card is what its files render to today, and a valid Hub card."""
    folder = handles.resolve(name)
    text = (folder / "README.md").read_text()
    assert text == card.render(folder)
    data = ModelCard(text).data
    assert data.license == "apache-2.0"
    assert len(data.eval_results) == 4 * len(preset.read(folder)["auroc"])
    for name, value in preset.read(folder)["auroc"].items():
        assert [(r.dataset_type, r.metric_value) for r in data.eval_results if r.metric_type == "auroc"].count(
            (name, value)
        ) == 1


def test_the_readme_table_is_up_to_date():
    """The README's tables are what the zoo and the speed benchmark render to."""
    assert card.preset_table() in README.read_text()
    assert speed.table(README.parent / "benchmark") in README.read_text()


@pytest.mark.parametrize("field", ["auroc", "training", "in_distribution", "false_positive_rate", "recipe_sha256", "seeds"])
def test_a_missing_field_is_an_error(tmp_path, field):
    """No card with a gap."""
    folder = shutil.copytree(handles.resolve("tilted-vae-digits"), tmp_path / "copy")
    content = json.loads((folder / "preset.json").read_text())
    del content[field]
    (folder / "preset.json").write_text(json.dumps(content))
    with pytest.raises(KeyError, match=field):
        card.render(folder)


@pytest.mark.parametrize("name", keras_ood.list_models())
def test_untrained_rows_stand_beside(name):
    """Every set and score has trained and untrained rows, for every seed of the recipe."""
    folder = handles.resolve(name)
    content = preset.read(folder)
    records = card.read_records(folder / "results.csv")
    keys = {(row["weights"], int(row["seed"]), row["out_of_distribution"], row["method"]) for row in records}
    methods = {row["method"] for row in records}
    for seed in content["seeds"]:
        for out in content["auroc"]:
            for method in methods:
                assert ("trained", seed, out, method) in keys
                assert ("untrained", seed, out, method) in keys
