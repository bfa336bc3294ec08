"""The command that fine-tunes: a folder in, a preset out."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import keras_ood
from keras_ood.cli.main import app
from keras_ood.encoders import FrozenEncoder
from keras_ood.training.start import ENCODER

pytestmark = pytest.mark.once


@pytest.fixture
def photos(tmp_path, digits):
    """A hundred digits, a file that is no image, and twenty negatives beside them."""
    for name, images in (("photos", digits[0][:100]), ("strange", 255 - digits[0][:20])):
        (tmp_path / name).mkdir()
        for index, image in enumerate(images):
            Image.fromarray(image[..., 0]).save(tmp_path / name / f"{index:03}.png")
    (tmp_path / "photos" / "broken.png").write_bytes(b"no image")
    return tmp_path


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["finetune", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def test_a_folder_becomes_a_preset(photos):
    """JSON alone on standard output, epochs and the next command on standard error, a preset that flags what is strange."""
    options = ["--data", photos / "photos", "--out", photos / "mine", "--epochs", 1, "--ood", photos / "strange", "--json"]
    result = run("--from", "tilted-vae-digits", *options, "--unreadable", "skip", "--title", "my digits")
    assert "Warning: Skipped an unreadable image" in result.stderr
    value = json.loads(result.stdout)
    assert (value["skipped"], value["left_out"]) == (1, 0)
    assert value["in_distribution"]["title"] == "my digits"
    assert value["auroc"]["strange"] > 0.9
    assert "1 of 1 epochs" in result.stderr
    detector = keras_ood.from_pretrained(photos / "mine")
    assert np.mean(detector.detect(photos / "strange", fpr=0.05)) > 0.9
    assert "absent or empty" in run("--from", "tilted-vae-digits", *options, "--unreadable", "skip", code=1).stderr


@pytest.mark.slow
def test_thirty_images_become_a_preset_from_nothing_else(photos, monkeypatch):
    """No start is named: the encoder is one, and what was chosen is said."""
    monkeypatch.setenv("KERAS_OOD_EMBEDDINGS", str(photos / "embeddings"))
    small = FrozenEncoder(ENCODER, (32, 32, 3))
    monkeypatch.setattr("keras_ood.training.start.as_encoder", lambda source: small)
    few = [option for index in range(30) for option in ("--data", photos / "photos" / f"{index:03}.png")]
    value = json.loads(run(*few, "--out", photos / "mine", "--ood", photos / "strange", "--json").stdout)
    assert (value["family"], value["in_distribution"]["calibration_images"]) == ("FeatureMixture", 30)
    assert set(value["choice"]) == {"memory", "folds", "held_out_log_density"}
    assert value["auroc"]["strange"] > 0.9
    assert np.mean(keras_ood.from_pretrained(photos / "mine").detect(photos / "strange", fpr=0.05)) > 0.8
    short = run(*few[:20], "--out", photos / "other", code=1)
    assert "at least 30 different images. Received: 10" in short.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--size", "8by8"], "Received: '8by8'"),
        (["--size", "9"], "multiples of 8. Received"),
        (["--learning-rate", "0"], "Received: {'learning_rate': 0.0}"),
        (["--ood", "fashion"], "Received: 'fashion'"),
        ([], "Cannot decode an image file"),
    ],
)
def test_errors_are_a_line(photos, options, words):
    """What cannot be is said before anything is trained, and nothing is left behind."""
    result = run("--from", "tilted-vae-digits", "--data", photos / "photos", "--out", photos / "mine", *options, code=1)
    assert words in result.stderr
    assert not list(photos.glob("mine*"))
