"""InFlow over feature maps, and where detectors of every family find an image odd."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import logsumexp
from scipy.stats import norm

import keras_ood
from keras_ood.attention import PerImageGate
from keras_ood.calibration.not_calibrated_error import NotCalibratedError
from keras_ood.datasets import damage, textures
from keras_ood.encoders import FeatureSpace, FrozenEncoder, MapEncoder, MapSpace, MixtureSpace
from keras_ood.hub import preset, short_card
from keras_ood.models import Ensemble, FeatureMixture, InFlow, TiltedVAE
from keras_ood.monitoring import WindowedTest
from keras_ood.training.settings import Settings
from keras_ood.training.start import Start

SHAPE = (32, 32, 3)
TRAINING, HELD_OUT, TEST = (textures("grain", 60, seed, 32) for seed in (0, 1, 2))


def space(stages=None):
    return MapSpace(MapEncoder("efficientnet-lite0", (64, 64, 3)), stages, memory=8)


def gated(positions):
    """A flow on the finer stage, its gate on the coarser one."""
    detector = InFlow(SHAPE, "feature_maps", depth=1, encoder=space([0]))
    embedded = [detector.entrance.embed(images) for images in (TRAINING, HELD_OUT)]
    detector.feature_space.fit(embedded[0])
    seen = [ops.convert_to_numpy(detector.feature_space.others(images.values())) for images in embedded]
    if positions:
        given = [maps.reshape(-1, maps.shape[-1]) for maps in seen]
        gate = PerImageGate.from_features(given[0], given[1][::20], components=8)
    else:
        gate = PerImageGate.from_features(*(maps.mean(axis=(1, 2)) for maps in seen), components=8)
    return detector.remade(attention=gate, gate_positions=positions)


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    detector = InFlow(SHAPE, "feature_maps", depth=1, encoder=space())
    before = [weight.numpy() for weight in detector.trainable_weights]
    history = detector.fit(TRAINING, epochs=2, batch_size=20, verbose=0)
    detector.calibrate(HELD_OUT, progress=False)
    detector.calibrate_maps(HELD_OUT, progress=False)
    return detector, before, history


def test_training_moves_every_weight_and_lowers_the_loss(trained):
    detector, before, history = trained
    assert all(np.any(weight.numpy() != old) for weight, old in zip(detector.trainable_weights, before, strict=True))
    assert history.history["loss"][1] < history.history["loss"][0]


def test_scores_vary_and_the_image_score_is_the_peak_of_the_map(trained):
    detector, _, _ = trained
    maps, statistics = detector.score_map(TEST), detector.statistics(TEST)
    assert detector.default_score == "peak"
    assert maps.shape == (60, 8, 8)
    of_training = detector.score_map(TRAINING)
    standardised = (maps - of_training.mean(axis=0)) / of_training.std(axis=0)
    np.testing.assert_allclose(detector.score(TEST), standardised.max(axis=(1, 2)), rtol=1e-3)
    np.testing.assert_allclose(statistics["nll"], maps.sum(axis=(1, 2)), rtol=1e-5)
    assert all(np.std(values) > 0 for name, values in statistics.items() if name != "attention")


def test_the_map_is_the_log_density_of_the_whitened_features(trained):
    """At every position: the latents' density under normal distributions about the memory, and the log-determinant's share."""
    detector, _, _ = trained
    whitened = detector.entrance.event(detector.entrance.embed(TEST[:4], dtype="float32").values())
    latents, log_det = detector.flow.bijector().forward_and_log_det_map(whitened)
    centres = ops.convert_to_numpy(detector.feature_space.centres)
    kernels = norm.logpdf(ops.convert_to_numpy(latents)[..., None, :] - centres).sum(axis=-1)
    nll = -logsumexp(kernels, axis=-1) + np.log(len(centres)) - ops.convert_to_numpy(log_det)
    np.testing.assert_allclose(detector.score_map(TEST[:4]), nll, rtol=1e-4)


def test_windows_see_what_the_gate_sees():
    """`WindowedTest` compares means over positions with the gate's reference, which is of such means."""
    detector = gated(False)
    maps = ops.convert_to_numpy(detector.feature_space.others(detector.entrance.embed(TEST).values()))
    seen = ops.convert_to_numpy(detector.gate.project(maps.mean(axis=(1, 2))))
    np.testing.assert_allclose(WindowedTest.from_detector(detector, 10).gate.features(TEST), seen, atol=1e-3)


def test_a_fine_tuning_starts_over_maps():
    """The features in which a flow over maps is trained further are those of the new images' positions."""
    start = Start.of(gated(True), None, None, None, Settings())
    moved = start.over(start.moved.detector.entrance.embed(TEST))
    assert type(moved.feature_space) is MapSpace
    assert moved.feature_space.memory == 8
    assert np.any(moved.feature_space.get_weights()[0] != start.original.feature_space.get_weights()[0])


@pytest.mark.parametrize("positions", [False, True], ids=["image", "positions"])
def test_gates_see_an_image_or_each_position(positions):
    """A gate that closes leaves the whitened features' own density there, whatever the flow's weights."""
    detector = gated(positions)
    generator = np.random.default_rng(0)
    for weight in detector.trainable_weights:
        weight.assign(weight.numpy() + 0.05 * generator.standard_normal(weight.shape))
    noise = generator.integers(0, 256, (8, *SHAPE), dtype=np.uint8)
    found = detector.statistics(noise)
    assert np.all(found["attention"] < 0.5)
    assert np.all(found["attention_p_value"] < 0.05)
    familiar = detector.statistics(TEST)["attention"]
    assert np.mean(familiar) > 0.8
    assert np.std(familiar) > 0
    assert detector.ungated().gate is None


def test_an_untrained_flow_is_its_base(trained):
    """Without training, and at c = 0 with any, the nll is that of the memory's mixture: latents are whitened features."""
    detector, _, _ = trained
    whitened = detector.entrance.event(detector.entrance.embed(TEST[:4], dtype="float32").values())
    base = -ops.convert_to_numpy(detector.feature_space.log_density(whitened))
    untrained = detector.remade()
    np.testing.assert_allclose(untrained.score_map(TEST[:4]), base, rtol=1e-4)
    np.testing.assert_allclose(detector.with_attention(0.0).score_map(TEST[:4]), base, rtol=1e-4)
    assert np.abs(detector.score_map(TEST[:4]) - base).max() > 1


def test_embeddings_of_maps_stand_for_their_images(trained):
    detector, _, _ = trained
    embeddings = detector.entrance.embed(TEST, dtype="float32")
    np.testing.assert_allclose(detector.score(embeddings), detector.score(TEST), rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(detector.score_map(embeddings), detector.score_map(TEST), rtol=1e-3, atol=1e-1)


def test_a_preset_keeps_the_maps_calibration(trained, tmp_path):
    detector, _, _ = trained
    detector.save_pretrained(tmp_path / "preset")
    loaded = keras_ood.from_pretrained(tmp_path / "preset")
    np.testing.assert_allclose(loaded.score(TEST), detector.score(TEST), rtol=1e-5)
    np.testing.assert_allclose(loaded.heat_map(TEST), detector.heat_map(TEST), atol=0.04)
    assert loaded.get_config() == detector.get_config()
    card = short_card.render(preset.read(tmp_path / "preset"), "me/mine", "")
    assert "where = detector.heat_map(images)            # (N, 32, 32) p-values" in card


def test_a_defect_is_lit_where_it_is(trained):
    """Stains are found, at the right place, and clean images stay dark but for the share that was asked for."""
    detector, _, _ = trained
    stained, masks = damage("stain", TEST)
    heat = detector.heat_map(stained)
    assert heat.shape == masks.shape
    assert heat[masks].mean() < 0.5 * heat[~masks].mean()
    flagged = (detector.heat_map(TEST) <= 0.05).any(axis=(1, 2)).mean()
    assert flagged <= 0.2


FAMILIES = {
    "flow over maps": lambda: InFlow(SHAPE, "feature_maps", depth=1, encoder=space()),
    "tilted VAE over features": lambda: TiltedVAE(SHAPE, 4, 5.0, encoder=features()),
    "flow over features": lambda: InFlow(SHAPE, depth=1, encoder=features()),
    "mixture over features": lambda: FeatureMixture(SHAPE, MixtureSpace(features().encoder), folds=2),
    "tilted VAE of pixels": lambda: TiltedVAE(SHAPE, 4, 5.0),
    "flow of pixels": lambda: InFlow(SHAPE, depth=1),
    "ensemble": lambda: Ensemble([TiltedVAE(SHAPE, 4, 5.0) for _ in range(2)]),
}


def features():
    return FeatureSpace(FrozenEncoder("efficientnet-lite0", (64, 64, 3), stages=[0, 1]), memory=8)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_says_where(name):
    """A white square in a texture has smaller p-values than the rest, and the maps of different images differ."""
    keras.utils.set_random_seed(0)
    detector = FAMILIES[name]()
    for one in detector.feature_spaces:
        one.fit(detector.entrance.embed(TRAINING))
    with pytest.raises(NotCalibratedError, match="calibrate_maps"):
        detector.heat_map(TEST)
    assert detector.calibrate_maps(HELD_OUT) == 60
    pierced, masks = TEST.copy(), np.zeros((60, 32, 32), bool)
    pierced[:, 8:16, 16:24], masks[:, 8:16, 16:24] = 255, True
    heat = detector.heat_map(pierced)
    assert heat.dtype == np.float32
    assert heat.shape == (60, 32, 32)
    assert np.all((heat > 0) & (heat <= 1))
    maps = detector.score_map(pierced)
    assert maps.std(axis=0).min() > 0
    assert heat[masks].mean() < heat[~masks].mean()
    np.testing.assert_array_equal(np.concatenate(list(detector.iterate_heat_maps(pierced, batch_size=20))), heat)


BAD = {
    "gate positions of a dense flow": (lambda: InFlow(SHAPE, encoder=features(), gate_positions=True), "gate_positions=True"),
    "maps for a dense flow": (lambda: InFlow(SHAPE, encoder=space()), "MapSpace"),
    "maps without encoder": (lambda: InFlow(SHAPE, "feature_maps"), "'feature_maps'"),
    "pooled features for a map": (lambda: InFlow(SHAPE, "feature_maps", encoder=features()), "FeatureSpace"),
}


@pytest.mark.once
@pytest.mark.parametrize("name", BAD)
def test_what_does_not_go_together_is_a_value_error(name):
    make, received = BAD[name]
    with pytest.raises(ValueError, match=f"Received: .*{received}"):
        make()


@pytest.mark.once
def test_embeddings_of_pooled_features_know_no_positions():
    detector = TiltedVAE(SHAPE, 4, 5.0, encoder=features())
    embeddings = detector.entrance.embed(TRAINING)
    detector.feature_space.fit(embeddings)
    with pytest.raises(ValueError, match="Received: embeddings of shape"):
        detector.score_map(embeddings)
