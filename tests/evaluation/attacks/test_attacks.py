"""The attacks, on classifiers whose boundaries are known."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ood.backend.compiled import gradient
from keras_ood.evaluation.attacks import deepfool, fgsm, pgd
from keras_ood.networks.classifier import build_classifier, train_classifier

SHAPE = (3, 3, 1)
WEIGHTS = np.random.default_rng(0).standard_normal((9, 3)).astype("float32")


def linear(images):
    """A linear classifier of three classes."""
    return ops.matmul(ops.reshape(images, (-1, 9)), WEIGHTS)


def cross_entropy(images, labels):
    return keras.losses.sparse_categorical_crossentropy(labels, linear(images), from_logits=True)


def logits(images):
    return np.asarray(ops.convert_to_numpy(linear(images.astype("float32"))))


@pytest.fixture
def images():
    return (0.3 + 0.4 * np.random.default_rng(1).random((40, *SHAPE))).astype("float32")


@pytest.fixture
def labels(images):
    return np.argmax(logits(images), axis=-1).astype("int32")


def test_gradient_is_that_of_each_image(images):
    """The gradient of a function of single images, against differences."""
    function = gradient(lambda x, power: ops.sum(ops.sin(x) * power[:, None, None, None], axis=(1, 2, 3)))
    powers = np.linspace(1, 2, 40, dtype="float32")
    np.testing.assert_allclose(function(images, powers), np.cos(images) * powers[:, None, None, None], rtol=1e-5)


def test_fgsm_is_the_sign_of_the_gradient(images, labels):
    """Every number moves by epsilon, along the gradient's sign."""
    slopes = gradient(cross_entropy)(images, labels)
    np.testing.assert_allclose(
        fgsm(gradient(cross_entropy), images, labels, epsilon=0.1), images + 0.1 * np.sign(slopes), atol=1e-6
    )


@pytest.mark.parametrize("epsilon", [0.02, 0.5])
def test_pgd_stays_in_bounds_and_raises_the_loss(images, labels, epsilon):
    """The change is at most epsilon, numbers stay in 0..1, the loss grows at least as much as by FGSM."""
    attacked = pgd(gradient(cross_entropy), images, labels, epsilon=epsilon)
    assert attacked.dtype == np.float32
    assert np.max(np.abs(attacked - images)) <= epsilon + 1e-6
    assert attacked.min() >= 0
    assert attacked.max() <= 1
    losses = [
        np.mean(ops.convert_to_numpy(cross_entropy(x, labels)))
        for x in (images, fgsm(gradient(cross_entropy), images, labels, epsilon=epsilon), attacked)
    ]
    assert losses[0] < losses[1] <= losses[2] + 1e-4


def test_deepfool_finds_the_nearest_boundary(images, labels):
    """For a linear classifier the change is the distance to the nearest boundary, but for the overshoot."""
    attacked = deepfool(linear, images)
    scores = logits(images)
    gaps = scores[np.arange(40), labels][:, None] - scores
    norms = np.linalg.norm(WEIGHTS[:, labels].T[:, :, None] - WEIGHTS[None], axis=1)
    distance = np.min(np.where(norms > 0, gaps / np.maximum(norms, 1e-9), np.inf), axis=1)
    inside = np.all((attacked > 0) & (attacked < 1), axis=(1, 2, 3))  # clipping would make the way longer
    assert np.mean(inside) > 0.5
    changed = np.linalg.norm((attacked - images).reshape(40, -1), axis=1)
    np.testing.assert_allclose(changed[inside], 1.02 * distance[inside], rtol=0.02, atol=2e-4)
    assert np.all(np.argmax(logits(attacked), axis=-1)[inside] != labels[inside])


@pytest.mark.once
def test_classifier_is_trained_once(tmp_path, digits):
    """The classifier learns, and the second call reads it back."""
    trained = train_classifier("digits", tmp_path, epochs=15)
    from keras_ood import datasets

    images, labels = datasets.load("digits", "test")
    predicted = ops.convert_to_numpy(trained(images / np.float32(255)))
    assert np.mean(np.argmax(predicted, axis=-1) == labels) > 0.8
    again = train_classifier("digits", tmp_path)
    np.testing.assert_array_equal(ops.convert_to_numpy(again(images / np.float32(255))), predicted)
    assert build_classifier((8, 8, 1), 10).output_shape == (None, 10)


@pytest.mark.parametrize("settings", [{"epsilon": 0.0}, {"epsilon": 0.1, "steps": 0}])
def test_bad_settings(images, labels, settings):
    """An attack without strength or steps is refused."""
    with pytest.raises(ValueError, match=r"must be positive\. Received"):
        pgd(gradient(cross_entropy), images, labels, **settings)
