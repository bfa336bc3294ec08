"""Frozen encoders, the space of their features, and embeddings on disk."""

import sys

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.covariance import LedoitWolf

from keras_ood.encoders import Embeddings, FeatureSpace, FrozenEncoder, Source, embed, registry
from keras_ood.encoders.embed import in_memory
from keras_ood.images import ImageFiles, ImageWarning
from keras_ood.images.sources import one_ahead

SHAPE = (16, 16, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (96, 8, 8, 3), dtype=np.uint8)


def network(seed=0):
    """Return two stages, of 5 and 7 channels."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(SHAPE)
    first = keras.layers.Conv2D(5, 3, 2, "same", activation="relu", data_format="channels_last")(inputs)
    second = keras.layers.Conv2D(7, 3, 2, "same", activation="relu", data_format="channels_last")(first)
    return keras.Model(inputs, [first, second])


@pytest.fixture(autouse=True)
def _folder(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_OOD_EMBEDDINGS", str(tmp_path / "embeddings"))
    monkeypatch.setattr(registry, "_SOURCES", dict(registry._SOURCES))


def test_features_are_normalised_means_of_each_stage():
    model = network()
    encoder = FrozenEncoder(model)
    assert (encoder.stages, encoder.widths, encoder.image_shape) == ((0, 1), (5, 7), SHAPE)
    found = keras.ops.convert_to_numpy(encoder(IMAGES))
    maps = model(encoder.preprocessing(IMAGES))
    means = [keras.ops.convert_to_numpy(stage).mean(axis=(1, 2)) for stage in maps]
    expected = np.concatenate([mean / np.linalg.norm(mean, axis=1, keepdims=True) for mean in means], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not encoder.weights  # the network is shared, not owned
    one = FrozenEncoder(model, stages=[1])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(one(IMAGES)), expected[:, 5:], atol=1e-5)
    grey = keras.ops.convert_to_numpy(encoder(IMAGES[..., :1]))
    np.testing.assert_allclose(grey, keras.ops.convert_to_numpy(encoder(np.repeat(IMAGES[..., :1], 3, -1))), atol=1e-5)


def test_the_pyramid_of_a_backbone_is_its_stages():
    """A backbone of keras-hub has one output, and the maps of all resolutions in `pyramid_outputs`."""
    model = network()

    class Backbone(keras.Model):
        def __init__(self):
            super().__init__(model.inputs, model.outputs[-1])
            self.pyramid_outputs = {"P1": model.outputs[0], "P2": model.outputs[1]}

    encoder = FrozenEncoder(Backbone())
    assert encoder.widths == (5, 7)
    np.testing.assert_allclose(encoder(IMAGES), FrozenEncoder(model)(IMAGES), atol=1e-6)


def test_a_configuration_is_enough_where_the_network_is_known():
    encoder = FrozenEncoder(network())
    again = FrozenEncoder.from_config(encoder.get_config())
    assert again.identity == encoder.identity
    np.testing.assert_array_equal(again(IMAGES), encoder(IMAGES))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "efficientnet-lite"}, "Did you mean 'efficientnet-lite0'.*Received: 'efficientnet-lite'"),
        ({"network": "own:0123"}, "FrozenEncoder.*Received: 'own:0123'"),
        ({"network": 3}, "name of one or a Keras model. Received: 3"),
        ({"network": "efficientnet-lite0", "image_shape": (32, 32, 3), "stages": [4]}, "rising. Received: \\[4\\]"),
        ({"network": "efficientnet-lite0", "image_shape": (32, 32, 3), "stages": [1, 0]}, "rising. Received: \\[1, 0\\]"),
    ],
)
def test_what_is_no_encoder_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        FrozenEncoder(**settings)


@pytest.mark.parametrize(
    "model",
    [
        lambda: keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(3)]),
        lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]),
    ],
)
def test_a_network_without_maps_is_refused(model):
    with pytest.raises(ValueError, match=r"one map of that rank or a list.*Received"):
        FrozenEncoder(model())


def test_weights_that_are_not_what_was_pinned_are_refused():
    config = FrozenEncoder(network()).get_config()
    other = FrozenEncoder.from_config(config | {"digest": "0" * 64})
    with pytest.raises(ValueError, match=f"SHA-256 {'0' * 64}.*Received: {config['digest']}"):
        other.ready()
    with pytest.raises(ValueError, match="widths"):
        FrozenEncoder.from_config(config | {"widths": [5, 8]}).ready()


def test_an_encoder_that_somebody_registered(monkeypatch):
    registry.register("mine", Source("Mine", "my images", lambda shape: network()))
    encoder = FrozenEncoder("mine", SHAPE)
    assert encoder.provenance()["trained_on"] == "my images"
    assert encoder.widths == (5, 7)


def test_the_feature_space_whitens():
    encoder = FrozenEncoder(network())
    embeddings = embed(IMAGES, encoder, (8, 8, 3), dtype="float32")
    space = FeatureSpace(encoder, memory=4)
    assert not space.fitted
    space.fit(embeddings)
    assert space.fitted
    features = embeddings.values().astype(np.float64)
    estimate = LedoitWolf().fit(features)
    whitened = keras.ops.convert_to_numpy(space(embeddings.values()))
    statistics = {name: keras.ops.convert_to_numpy(value) for name, value in space.statistics(whitened).items()}
    np.testing.assert_allclose(statistics["mahalanobis"] ** 2, estimate.mahalanobis(features), rtol=1e-3)
    root = np.linalg.cholesky(estimate.covariance_)
    np.testing.assert_allclose(whitened, np.linalg.solve(root, (features - estimate.location_).T).T, atol=1e-3)


def test_the_memory_is_of_centres_and_its_metric_that_within_them():
    rng = np.random.default_rng(0)
    encoder = FrozenEncoder(network())
    centres = 5 * rng.standard_normal((3, 12))
    features = (np.repeat(centres, 2_000, axis=0) + rng.standard_normal((6_000, 12))).astype(np.float32)
    space = FeatureSpace(encoder, memory=3).fit(Embeddings(features, encoder.identity))
    near = keras.ops.convert_to_numpy(space.statistics(space(features))["knn"])
    np.testing.assert_allclose(np.mean(near**2), 12, rtol=0.1)  # chi-squared of as many degrees, but for the shrinkage
    between = centres[:1] + 0.5 * (centres[1:2] - centres[:1])
    far = keras.ops.convert_to_numpy(space.statistics(space(between.astype(np.float32)))["knn"])
    assert far[0] > near.max()


def test_columns_of_the_stages_that_are_looked_at():
    space = FeatureSpace(FrozenEncoder(network()), stages=[1], memory=4)
    assert space.width == 7
    assert space.columns.tolist() == list(range(5, 12))
    assert space.other_columns.tolist() == list(range(5))
    assert FeatureSpace(space.encoder).other_columns.tolist() == list(range(12))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stages": [2]}, "rising. Received: \\[2\\]"),
        ({"stages": []}, "rising. Received: \\[\\]"),
        ({"memory": 0}, "positive integer. Received: 0"),
        ({"memory": 2.5}, "positive integer. Received: 2.5"),
    ],
)
def test_what_a_feature_space_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        FeatureSpace(network(), **settings)


def test_too_few_images_and_other_embeddings_are_refused():
    encoder = FrozenEncoder(network())
    embeddings = embed(IMAGES, encoder)
    with pytest.raises(ValueError, match="Received: 96, memory=49"):
        FeatureSpace(encoder, memory=49).fit(embeddings)
    with pytest.raises(ValueError, match="Embeddings must be those of the detector's encoder"):
        FeatureSpace(network(seed=1), memory=4).fit(embeddings)


def test_embeddings_are_computed_once(tmp_path):
    encoder = FrozenEncoder(network())
    first = embed(IMAGES, encoder, (8, 8, 3))
    files = sorted((tmp_path / "embeddings").glob("*.npy"))
    assert len(files) == 1
    written = files[0].stat().st_mtime_ns
    again = embed(IMAGES.copy(), encoder, (8, 8, 3))
    assert files[0].stat().st_mtime_ns == written
    np.testing.assert_array_equal(first.values(), again.values())
    np.testing.assert_allclose(first.values(), encoder(IMAGES), atol=2e-3)
    embed(IMAGES[:5], encoder, (8, 8, 3))
    embed(IMAGES, encoder, (4, 4, 3))
    embed(IMAGES, FrozenEncoder(network(seed=1)), (8, 8, 3))
    assert len(list((tmp_path / "embeddings").glob("*.npy"))) == 4  # another set, another size, another encoder


def test_embeddings_of_files_and_streams(tmp_path):
    encoder = FrozenEncoder(network())
    np.save(tmp_path / "images.npy", IMAGES)
    wanted = embed(IMAGES, encoder).values()
    for source in (tmp_path / "images.npy", (IMAGES[start : start + 7] for start in range(0, 96, 7)), list(IMAGES)):
        np.testing.assert_allclose(embed(source, encoder).values(), wanted, atol=2e-3)


def test_images_that_cannot_be_read_leave_no_rows_and_nothing_on_disk(tmp_path):
    encoder, folder = FrozenEncoder(network()), tmp_path / "photos"
    folder.mkdir()
    for number, image in enumerate(IMAGES[:4]):
        Image.fromarray(image).save(folder / f"{number}.png")
    assert embed(folder, encoder).shape == (4, 12)
    (folder / "2.png").write_bytes(b"nothing")
    with pytest.warns(ImageWarning, match=r"2\.png"):
        assert embed(ImageFiles(folder, unreadable="skip"), encoder).shape == (3, 12)
    assert len(list((tmp_path / "embeddings").glob("*.npy"))) == 1


def test_what_cannot_be_written_is_held_in_memory(tmp_path):
    (tmp_path / "file").touch()
    assert len(embed(IMAGES, FrozenEncoder(network()), folder=tmp_path / "file" / "embeddings")) == 96


def test_nothing_is_left_on_disk_where_that_is_asked_for(tmp_path):
    """Within `in_memory` alone, and not where a folder is named."""
    encoder = FrozenEncoder(network())
    with in_memory():
        found = embed(IMAGES, encoder)
        assert not (tmp_path / "embeddings").exists()
        embed(IMAGES, encoder, folder=tmp_path / "named")
    assert len(list((tmp_path / "named").glob("*.npy"))) == 1
    np.testing.assert_array_equal(embed(IMAGES, encoder).values(), found.values())
    assert len(list((tmp_path / "embeddings").glob("*.npy"))) == 1


def test_the_same_images_cannot_be_whitened():
    encoder = FrozenEncoder(network())
    with pytest.raises(ValueError, match=r"more different images.* Received"):
        FeatureSpace(encoder, memory=2).fit(Embeddings(np.ones((8, 12), np.float32), encoder.identity))


def test_a_model_of_ones_own_is_copied_and_known_by_weights_and_layers():
    model = network()
    encoder = FrozenEncoder(model)
    before = keras.ops.convert_to_numpy(encoder(IMAGES))
    assert model.trainable
    assert FrozenEncoder(keras.models.clone_model(network())).network != encoder.network  # other weights
    other = keras.Model(model.inputs, [model.outputs[0], keras.layers.ReLU()(model.outputs[1] - 0.1)])
    assert FrozenEncoder(other).network != encoder.network
    model.set_weights([weight + 1 for weight in model.get_weights()])
    np.testing.assert_array_equal(encoder(IMAGES), before)


def test_an_encoder_leaves_random_numbers_alone():
    keras.utils.set_random_seed(3)
    expected = keras.layers.Dense(2).kernel_initializer.seed
    keras.utils.set_random_seed(3)
    FrozenEncoder("efficientnet-lite0", (40, 40, 3))
    assert keras.layers.Dense(2).kernel_initializer.seed == expected


def test_embeddings_are_sliced_and_read_by_batches():
    encoder = FrozenEncoder(network())
    embeddings = embed(IMAGES, encoder)
    assert [len(batch) for batch in embeddings.batches(40)] == [40, 40, 16]
    np.testing.assert_array_equal(embeddings[10:20].values(), embeddings.values()[10:20])
    with pytest.raises(ValueError, match=r"float.*Received: int64"):
        Embeddings(np.zeros((3, 2), np.int64), encoder.identity)
    with pytest.raises(ValueError, match="Received: 'int8'"):
        embed(IMAGES, encoder, dtype="int8")
    with pytest.raises(ValueError, match="Received: 0"):
        next(embeddings.batches(0))


def test_a_damaged_file_of_embeddings_is_named(tmp_path):
    encoder = FrozenEncoder(network())
    embed(IMAGES, encoder)
    (path,) = (tmp_path / "embeddings").glob("*.npy")
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"Expected embeddings as `keras_ood.encoders.embed` writes them\. Received: .*npy"):
        embed(IMAGES, encoder)


@pytest.mark.parametrize("as_files", [False, True])
def test_a_killed_embedding_goes_on(tmp_path, as_files):
    """What was computed before a kill is not computed again, and the result is that of one call."""
    encoder, images = FrozenEncoder(network()), IMAGES
    if as_files:
        images = tmp_path / "photos"
        images.mkdir()
        for index, image in enumerate(IMAGES):
            Image.fromarray(image).save(images / f"{index:02}.png")
    expected = embed(images, encoder, folder=tmp_path / "once").values()
    seen = []

    def killed(items, start):
        for number, item in enumerate(one_ahead(items, start)):
            if number == 2:
                raise ArithmeticError("killed")
            yield item

    def counted(items, start):
        def noted(batch):
            seen.append(len(batch))
            return start(batch)

        return one_ahead(items, noted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["keras_ood.encoders.embed"], "one_ahead", killed)
        with pytest.raises(ArithmeticError):
            embed(images, encoder, folder=tmp_path / "twice", batch_size=16)
        patch.setattr(sys.modules["keras_ood.encoders.embed"], "one_ahead", counted)
        found = embed(images, encoder, folder=tmp_path / "twice", batch_size=16).values()
    assert sum(seen) == 96 - 16  # the batch that was being written is computed again
    np.testing.assert_allclose(found, expected, atol=1e-3)
