"""Presets have the settings that their sweep chose."""

import pytest

import keras_ood
from keras_ood.evaluation.studies import sweep
from keras_ood.hub import handles, preset
from keras_ood.tables.records import read_records

SWEPT = [name for name in keras_ood.list_models() if (handles.resolve(name) / sweep.CSV).exists()]


@pytest.mark.parametrize("name", SWEPT)
def test_the_card_tells_the_choice_that_was_made(name):
    """Tilt and latent size are those of the least nll among the tilted settings of the preset's architecture."""
    folder = handles.resolve(name)
    model = preset.read(folder)["model"]
    rows = [row for row in read_records(folder / sweep.CSV) if row["architecture"] == model["architecture"]]
    best = min((row for row in rows if float(row["tilt"])), key=lambda row: float(row["nll"]))
    assert (int(best["latent_dim"]), float(best["tilt"])) == (model["latent_dim"], model["tilt"])


def test_there_are_sweeps():
    """The choices for CIFAR-10 and GTSRB are on record."""
    assert {"tilted-vae-cifar10-pixels", "tilted-vae-gtsrb-pixels"} <= set(SWEPT)
