"""Sample quality, and sweeps of a VAE's settings."""

import dataclasses

import numpy as np
import pytest
from scipy.linalg import sqrtm

from keras_ood import datasets
from keras_ood.evaluation.studies.sample_quality import SampleQuality, frechet_distance, sharpness
from keras_ood.evaluation.studies.sweep import parse_setting, sweep
from keras_ood.recipes.recipe import Recipe
from keras_ood.tables.records import read_records

pytestmark = pytest.mark.once  # Keras' own training, NumPy and SciPy

RECIPE = """
family = "TiltedVAE"
model = { image_shape = [8, 8, 1], latent_dim = 3, tilt = 6.0 }
dataset = "digits"
calibration_size = 400
epochs = 1
batch_size = 64
learning_rate = 1e-3
seeds = [0]
out_of_distribution = ["noise"]
"""


def test_frechet_distance_is_that_of_the_matrix_root():
    """Against SciPy's matrix square root; of a Gaussian from itself it is 0, a singular one included."""
    generator = np.random.default_rng(0)
    first, second = (np.cov(generator.normal(size=(40, 6)).T) for _ in range(2))
    expected = 5 + np.trace(first + second - 2 * sqrtm(first @ second).real)
    shift = np.array([1.0, 2, 0, 0, 0, 0])
    np.testing.assert_allclose(frechet_distance(np.zeros(6), first, shift, second), expected, rtol=1e-9)
    singular = np.diag([1.0, 2.0, 0.0])
    np.testing.assert_allclose(frechet_distance(np.ones(3), singular, np.ones(3), singular), 0, atol=1e-9)


def test_sharpness_falls_with_blur():
    """Blurred images are less sharp, constant ones not at all; colour counts by its luminance."""
    images = datasets.load("digits", "test")[0]
    sharp, blurred = (sharpness(value / np.float32(255)) for value in (images, datasets.synthesize("blurred", images)))
    assert sharp > blurred > 0
    assert sharpness(np.full((2, 8, 8, 3), 0.5, np.float32)) == 0
    np.testing.assert_allclose(sharpness(np.repeat(images, 3, axis=-1) / np.float32(255)), sharp, rtol=1e-3)


def test_sample_quality_tells_a_trained_model_from_a_fresh_one(pretrained, tmp_path):
    """Samples and reconstructions of the zoo's digits model are nearer to real digits than those of fresh weights."""
    quality = SampleQuality("digits", datasets.load("digits", "test")[0], tmp_path)
    trained = quality.measure(pretrained)
    fresh = quality.measure(type(pretrained).from_config(pretrained.get_config()))
    assert all(np.isfinite(value) for value in dataclasses.asdict(trained).values())
    assert trained.squared_error < fresh.squared_error
    assert trained.frechet_real < trained.frechet < fresh.frechet
    assert trained.frechet_reconstructions < trained.frechet


def test_a_sweep_measures_what_is_left(tmp_path):
    """A row for each setting, written as it is measured; a second call adds only what is new."""
    path = tmp_path / "tiny" / "recipe.toml"
    path.parent.mkdir()
    path.write_text(RECIPE)
    recipe, table = Recipe.read(path), tmp_path / "sweep.csv"
    settings = [parse_setting("small,3,6"), parse_setting("small,3,0")]
    assert len(list(sweep(recipe, settings[:1], 0.5, table, tmp_path))) == 1
    (second,) = sweep(recipe, settings, 0.5, table, tmp_path)
    assert (second["tilt"], second["latent_dim"]) == (0, 3)
    records = read_records(table)
    assert [float(record["tilt"]) for record in records] == [6, 0]
    for record in records:
        assert int(record["steps"]) > 0
        np.testing.assert_allclose(float(record["nll"]), float(record["reconstruction"]) + float(record["kl"]), atol=0.05)


def test_bad_settings():
    """The error shows how a setting is written."""
    with pytest.raises(ValueError, match=r"small,64,20\. Received: 'small'"):
        parse_setting("small")


def test_a_sweep_that_cannot_be_is_not_begun(tmp_path):
    """Every setting is looked at before the first is trained."""
    path = tmp_path / "tiny" / "recipe.toml"
    path.parent.mkdir()
    path.write_text(RECIPE)
    recipe, good = Recipe.read(path), parse_setting("small,3,6")
    for settings, seconds, message in [
        ([good, parse_setting("tiny,3,6")], 1, "Received: 'tiny'"),
        ([good, parse_setting("small,0,6")], 1, "`model` takes"),
        ([good, {"latent": 3}], 1, "'latent'"),
        ([good], float("nan"), "Received: TiltedVAE, nan s"),
        ([good], "1", "Received: TiltedVAE, '1' s"),
    ]:
        with pytest.raises(ValueError, match=message):
            next(sweep(recipe, settings, seconds, tmp_path / "sweep.csv", tmp_path / "runs"))
    with pytest.raises(OSError, match=r"can be written\. Received"):
        next(sweep(recipe, [good], 1, path / "sweep.csv", tmp_path / "runs"))
    assert not (tmp_path / "sweep.csv").exists()
