"""Encoders by their names."""

import keras
import numpy as np
import pytest

from keras_ood.encoders import registry
from keras_ood.encoders.keras_application import keras_application


@pytest.mark.parametrize("builder", ["MobileNetV2", "ResNet50"])
def test_a_network_of_keras_applications_has_three_stages(builder: str) -> None:
    network = keras_application(builder, (64, 64, 3), weights=None)
    maps = network(np.random.default_rng(0).random((2, 64, 64, 3), np.float32))
    assert [tuple(stage.shape[1:3]) for stage in maps] == [(8, 8), (4, 4), (2, 2)]
    assert all(np.all(np.isfinite(keras.ops.convert_to_numpy(stage))) for stage in maps)


@pytest.mark.parametrize("name", ["efficientnet-lite1", "keras:MobileNetV9"])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"Did you mean.* Received: "):
        registry.network(name, (64, 64, 3))


def test_a_network_is_built_once_for_each_size_and_policy() -> None:
    network = registry.network("efficientnet-lite0", (32, 32, 3))
    assert registry.network("efficientnet-lite0", (32, 32, 3)) is network
    assert registry.network("efficientnet-lite0", (64, 64, 3)) is not network
    assert not network.model.trainable_variables
    assert len(network.digest) == 64
    assert registry.network("efficientnet-lite0-untrained", (32, 32, 3)).digest != network.digest


def test_a_name_is_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_SOURCES", dict(registry._SOURCES))
    source = registry.Source("Own", "own images", lambda shape: keras.Sequential([keras.Input(shape)]))
    registry.register("own", source)
    assert registry.find("own") is source
    assert "own" in registry.names()
    for name in ("own", "keras:own", ""):
        with pytest.raises(ValueError, match=r"name of its own.* Received: "):
            registry.register(name, source)


def test_what_a_network_was_trained_on_can_be_said_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same network is the same encoder, whatever is known of it first; a title changes what tables say."""
    monkeypatch.setattr(registry, "_SOURCES", dict(registry._SOURCES))
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 3, data_format="channels_last")(inputs))
    name = registry.register_model(model)
    assert registry.find(name).trained_on == "unknown"
    assert registry.register_model(model, "own", "own images") == name
    assert (registry.find(name).title, registry.find(name).trained_on) == ("own", "own images")
    registry.register_model(model)
    assert registry.find(name).title == "own"
