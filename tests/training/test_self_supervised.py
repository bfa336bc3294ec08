"""Self-supervision: what the losses and the views are, that an encoder learns, goes on after a kill, and refuses."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_ood.callbacks.nan_guard import NaNGuard
from keras_ood.images.views import DRAWS, view
from keras_ood.networks.residual import residual
from keras_ood.recipes.self_supervised_recipe import SelfSupervisedRecipe
from keras_ood.training.draws import Draws
from keras_ood.training.self_supervised import SelfSupervised, nt_xent
from keras_ood.training.train_encoder import train_encoder

SHAPE = (8, 8, 1)
QUICK = SelfSupervisedRecipe(epochs=8, batch_size=16, learning_rate=1e-2, widths=(4, 8))


@pytest.fixture
def scribbles(digits):
    """Seventy digits, of which six do not fill a batch."""
    return digits[0][:70]


def test_contrast_is_that_of_simclr():
    """`nt_xent` equals the sum of its definition, written out in NumPy in float64; the best is below, the chance above it."""
    projections = np.random.default_rng(0).normal(size=(10, 6)).astype(np.float32)
    unit = (projections / np.linalg.norm(projections, axis=1, keepdims=True)).astype(np.float64)
    similar = unit @ unit.T / 0.3
    losses = [
        np.log(sum(np.exp(similar[i, k]) for k in range(10) if k != i)) - similar[i, (i + 5) % 10]  #
        for i in range(10)
    ]
    assert float(nt_xent(projections, 0.3)) == pytest.approx(np.mean(losses), abs=1e-5)
    together = np.tile(np.eye(5, 6, dtype=np.float32), (2, 1))
    assert float(nt_xent(together, 0.05)) == pytest.approx(0, abs=1e-5)
    assert float(nt_xent(np.ones((10, 6), np.float32), 0.3)) == pytest.approx(np.log(9), abs=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_view_is_turned_as_numpy_turns(channels):
    """Draws that change nothing leave `np.rot90`; the mirror comes before the turn; others give other images in 0..1."""
    generator = np.random.default_rng(0)
    images = generator.random((8, 9, 9, channels), np.float32)
    turns = np.arange(8, dtype=np.int32) % 4
    nothing = np.full((8, DRAWS), 0.5, np.float32)
    nothing[:, 0], nothing[:, 4] = 1, np.repeat([0, 1], 4)  # all of the image, the first half mirrored where that is asked for
    seen = keras.ops.convert_to_numpy(view(images, turns, nothing))
    np.testing.assert_allclose(seen, [np.rot90(image, turn) for image, turn in zip(images, turns, strict=True)], atol=1e-6)
    mirrored = keras.ops.convert_to_numpy(view(images, turns, nothing, flips=True))
    np.testing.assert_allclose(mirrored[:4], [np.rot90(image[:, ::-1], k) for k, image in enumerate(images[:4])], atol=1e-6)
    np.testing.assert_array_equal(mirrored[4:], seen[4:])
    others = keras.ops.convert_to_numpy(view(images, turns, generator.random((8, DRAWS), np.float32)))
    assert others.min() >= 0
    assert others.max() <= 1
    assert np.all(np.abs(others - seen).max(axis=(1, 2, 3)) > 0.01)


def test_a_crop_shows_a_part():
    """A view of half of the height and width, at the upper left, shows no value that is not there."""
    ramp = np.broadcast_to(np.linspace(0.2, 0.8, 9, dtype=np.float32)[None, :, None, None], (1, 9, 9, 1))
    draws = np.full((1, DRAWS), 0.5, np.float32)
    draws[:, [0, 2, 3]] = 0  # the least area, as far left and up as it goes
    seen = keras.ops.convert_to_numpy(view(ramp, np.zeros(1, np.int32), draws))
    assert (seen[0, 0, 0, 0], seen[0, -1, 0, 0]) == pytest.approx((0.2, 0.5), abs=1e-6)


def test_draws_are_those_of_seed_and_epoch(scribbles):
    """Batches have two draws for each image and the turns as labels; the second epoch is the same for one that begins there."""
    images = scribbles / np.float32(255)
    whole, later = (Draws(images, 16, seed=1, epochs=range(first, 2)) for first in (0, 1))
    inputs, turns = whole[0]
    assert (len(whole), len(later)) == (8, 4)
    assert inputs["draws"].shape == (16, 2, DRAWS)
    np.testing.assert_array_equal(inputs["turns"], turns)
    assert set(turns) == {0, 1, 2, 3}
    assert not np.array_equal(later[0][0]["draws"], inputs["draws"])
    for index in range(4):
        for name, values in whole[4 + index][0].items():
            np.testing.assert_array_equal(values, later[index][0][name])


def test_the_network_gives_a_map_for_each_stage():
    """Every stage halves the map; an image's maps do not depend on its batch; within the size that is shipped."""
    network = residual((32, 32, 3))
    images = np.random.default_rng(0).random((3, 32, 32, 3), np.float32)
    maps = network(images)
    assert [tuple(found.shape) for found in maps] == [(3, 16, 16, 48), (3, 8, 8, 96), (3, 4, 4, 192)]
    assert network.count_params() == 689_904
    for together, alone in zip(maps, network(images[:1]), strict=True):
        np.testing.assert_allclose(together[:1], alone, atol=1e-5)
    with pytest.raises(ValueError, match="each can halve the image"):
        residual((8, 8, 1), (4, 8, 8, 8))


def test_an_encoder_learns_and_goes_on_where_it_was_killed(scribbles, tmp_path):
    """The loss falls, every weight moves; a training killed after an epoch ends as one that was not; a finished one is read."""
    keras.utils.set_random_seed(0)
    fresh = residual(SHAPE, QUICK.widths)
    encoder = train_encoder(scribbles, SHAPE, QUICK, tmp_path / "whole", verbose=False)
    assert all(np.any(before != after) for before, after in zip(fresh.get_weights(), encoder.get_weights(), strict=True))
    losses = np.loadtxt(tmp_path / "whole/training.csv", delimiter=",", skiprows=1)[:, 3]
    assert losses[-1] < losses[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NaNGuard, "on_epoch_begin", _die_in_the_second_epoch)
        with pytest.raises(KeyboardInterrupt):
            train_encoder(scribbles, SHAPE, QUICK, tmp_path / "killed", verbose=False)
    assert [path.name for path in (tmp_path / "killed/epochs").iterdir()] == ["epoch-000001"]
    resumed = train_encoder(scribbles, SHAPE, QUICK, tmp_path / "killed", verbose=False)
    read = train_encoder(scribbles, SHAPE, QUICK, tmp_path / "killed", verbose=False)
    kept = keras.models.load_model(tmp_path / "killed/encoder.keras")
    for other in (resumed, read, kept):
        for mine, whole in zip(other.get_weights(), encoder.get_weights(), strict=True):
            np.testing.assert_allclose(mine, whole, rtol=1e-4, atol=1e-5)
    assert {weight.dtype for weight in encoder.get_weights()} == {np.dtype("float32")}


def _die_in_the_second_epoch(guard, epoch, logs=None):
    if epoch == 1:
        raise KeyboardInterrupt


def test_half_precision_trains_and_returns_full(scribbles, tmp_path):
    """Under `mixed_bfloat16` the views stay float32, and the encoder that comes back computes in float32."""
    settings = dataclasses.replace(QUICK, epochs=1, dtype_policy="mixed_bfloat16")
    encoder = train_encoder(scribbles, SHAPE, settings, tmp_path, verbose=False)
    maps = encoder(scribbles[:2] / np.float32(255))
    assert {keras.backend.standardize_dtype(found.dtype) for found in maps} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


def test_what_cannot_be_trained_is_refused(scribbles, tmp_path):
    """Images that are not square or too few, and the folder of another training."""
    with pytest.raises(ValueError, match=r"square.*Received: \(8, 10, 1\)"):
        SelfSupervised(residual((8, 10, 1), (4,)))
    with pytest.raises(ValueError, match=r"fill a batch of 16\. Received: 9"):
        train_encoder(scribbles[:9], SHAPE, QUICK, tmp_path, verbose=False)
    quick = dataclasses.replace(QUICK, epochs=1)
    train_encoder(scribbles, SHAPE, quick, tmp_path, verbose=False)
    with pytest.raises(ValueError, match=r"Received: another value for \['epochs', 'seed'\]"):
        train_encoder(scribbles, SHAPE, QUICK, tmp_path, seed=1, verbose=False)


def test_the_table_of_a_recipe():
    """A table gives the settings, which give the table; what cannot be is refused."""
    table = {"epochs": 2, "widths": [4, 8], "flips": True}
    settings = SelfSupervisedRecipe.of(table)
    assert settings == SelfSupervisedRecipe(2, widths=(4, 8), flips=True)
    assert SelfSupervisedRecipe.of(settings.table()) == settings
    assert settings.table().items() >= table.items()
    for wrong in (
        {},
        {"epochs": 2, "stages": 3},
        {"epochs": 0},
        {"epochs": 2, "batch_size": 1},
        {"epochs": 2, "learning_rate": 1},
        {"epochs": 2, "widths": 4},
        {"epochs": 2, "widths": []},
        {"epochs": 2, "flips": 1},
        {"epochs": 2, "dtype_policy": "float64"},
    ):
        with pytest.raises(ValueError, match="Received: "):
            SelfSupervisedRecipe.of(wrong)
