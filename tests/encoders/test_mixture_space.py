"""A density over an encoder's features: against scipy, and its memory against held-out images."""

import keras
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf

from keras_ood.encoders import Embeddings, FrozenEncoder, MixtureSpace, registry
from keras_ood.models.feature_mixture import choose_memory

WIDTH = 6


@pytest.fixture
def encoder(monkeypatch):
    """An encoder of six features, which nobody asks for an image's."""
    monkeypatch.setattr(registry, "_SOURCES", dict(registry._SOURCES))
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    stage = keras.layers.Conv2D(WIDTH, 3, 2, data_format="channels_last")(inputs)
    return FrozenEncoder(keras.Model(inputs, stage))


def embeddings(encoder, kinds, images=240, spread=0.3):
    """Return features about `kinds` places, float32."""
    rng = np.random.default_rng(kinds)
    places = rng.normal(0, 3, (kinds, WIDTH))
    return Embeddings(
        (places[np.arange(images) % kinds] + rng.normal(0, spread, (images, WIDTH))).astype(np.float32), encoder.identity
    )


@pytest.mark.parametrize("memory", [1, 3])
def test_the_density_is_that_of_scipy(encoder, memory):
    training = embeddings(encoder, 3)
    space = MixtureSpace(encoder, memory=memory).fit(training)
    values = training.values().astype(np.float64)
    kind = np.arange(len(values)) % memory  # of three places, which three clusters find
    centres = np.stack([values[kind == one].mean(axis=0) for one in range(memory)])
    covariance = LedoitWolf(assume_centered=True).fit(values - centres[kind]).covariance_ * len(values) / (len(values) - memory)
    new = np.random.default_rng(9).normal(0, 2, (40, WIDTH))
    expected = logsumexp([multivariate_normal(centre, covariance).logpdf(new) for centre in centres], axis=0) - np.log(memory)
    whitened = space(new.astype(np.float32))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(space.log_density(whitened)), expected, rtol=1e-4, atol=1e-3)
    nearest = np.min(
        [np.einsum("ni,ij,nj->n", new - centre, np.linalg.inv(covariance), new - centre) for centre in centres], axis=0
    )
    found = keras.ops.convert_to_numpy(space.statistics(whitened)["knn"])
    np.testing.assert_allclose(found, np.sqrt(nearest), rtol=1e-4)


@pytest.mark.parametrize("kinds", [1, 4])
def test_held_out_images_say_how_large_the_memory_is(encoder, kinds):
    densities = choose_memory(MixtureSpace(encoder), embeddings(encoder, kinds), folds=5)
    assert list(densities) == [1, 2, 4, 8, 16, 32]
    assert max(densities, key=densities.get) == kinds


def test_few_images_bear_few_centres(encoder):
    assert list(choose_memory(MixtureSpace(encoder), embeddings(encoder, 1, images=30), folds=10)) == [1, 2, 4]
