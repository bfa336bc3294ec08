"""A detector of a few dozen images: out-of-fold statistics, the share that it flags, and its way to disk and back."""

import numpy as np
import pytest
from keras import ops

import keras_ood
from keras_ood.calibration.map_calibration import MapCalibration
from keras_ood.encoders import FrozenEncoder, MixtureSpace
from keras_ood.images.embeddings import Embeddings
from keras_ood.models import FeatureMixture

SHAPE = (8, 8, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (40, *SHAPE), dtype=np.uint8)
OTHERS = np.random.default_rng(1).integers(0, 40, (40, *SHAPE), dtype=np.uint8)


def encoder():
    """Return two stages of the pinned network at a small size."""
    return FrozenEncoder("efficientnet-lite0", (32, 32, 3), stages=[0, 1])


@pytest.fixture(scope="module")
def fitted():
    """A detector and the out-of-fold statistics of the images that it was made of."""
    detector = FeatureMixture(SHAPE, MixtureSpace(encoder(), memory=2), folds=4)
    before = detector.get_weights()
    return detector, detector.cross_fit(IMAGES), before


def test_every_fit_moves_and_scores_vary(fitted):
    detector, _, before = fitted
    whitening = {id(space.whitening) for space in detector.spaces}
    assert len(whitening) == 4
    assert any(np.any(new != old) for new, old in zip(detector.get_weights(), before, strict=True))
    assert len({space.whitening.numpy().tobytes() for space in detector.spaces}) == 4  # each of other images
    for name in ("nll", "mahalanobis", "knn"):
        assert np.ptp(detector.score(IMAGES, name)) > 0
        assert np.mean(detector.score(OTHERS, name)) > np.mean(detector.score(IMAGES, name))


def test_each_image_is_calibrated_by_the_fit_without_it(fitted):
    """The first image's statistics are those of one of the fits, and not of one that has seen it: the largest nll of all."""
    detector, statistics, _ = fitted
    np.testing.assert_allclose(np.sort(statistics["nll"]), np.sort(detector.calibration("nll").scores), rtol=1e-6)
    features = detector.entrance.embed(IMAGES).values()
    each = np.stack([-np.asarray(space.log_density(space(features))) for space in detector.spaces])
    np.testing.assert_allclose(statistics["nll"], each.max(axis=0), rtol=1e-4)
    np.testing.assert_allclose(detector.score(IMAGES, "nll"), each.mean(axis=0), rtol=1e-3)


def test_a_variant_is_measured_by_the_fit_without_its_image(fitted):
    """The images themselves get their own statistics again, also the first of them alone; by the mean they look familiar."""
    detector, statistics, _ = fitted
    for count in (3, 40):
        found = detector.held_out(IMAGES[:count])
        np.testing.assert_allclose(found["nll"], statistics["nll"][:count], rtol=1e-5)
    brighter = np.clip(IMAGES, 0, 252) + 3
    assert np.all(detector.held_out(brighter)["nll"] > detector.score(brighter, "nll"))


def test_each_map_is_calibrated_by_the_fit_without_its_image(fitted):
    """The largest nll of all fits, as that fit finds the image strange everywhere; the mean over them is the map of others."""
    detector, _, _ = fitted
    local = detector.entrance.closely(IMAGES)
    each = np.stack(
        [-np.asarray(space.log_density(space(ops.reshape(local, (-1, local.shape[-1]))))) for space in detector.spaces]
    )
    each = each.reshape(4, *local.shape[:3])
    np.testing.assert_allclose(detector.score_map(IMAGES), each.mean(axis=0), rtol=1e-3)
    held_out = each[_fits_without(detector), np.arange(40)]
    assert detector.cross_fit_maps(IMAGES) == 40
    maps, expected = detector.calibrated.maps, MapCalibration.of(held_out)
    np.testing.assert_allclose(maps.mean, expected.mean, rtol=1e-3)
    np.testing.assert_allclose(maps.largest.scores, expected.largest.scores, rtol=1e-2, atol=1e-2)
    assert np.mean(held_out) > np.mean(each)
    assert "nll" in detector.calibrated
    assert np.min(detector.heat_map(OTHERS[:3])) == pytest.approx(1 / 21)
    with pytest.raises(ValueError, match=r"at most those that were fitted, 40\. Received: 80"):
        detector.cross_fit_maps(np.concatenate([IMAGES, OTHERS]))


def _fits_without(detector):
    """The number of the fit without each image: the one by which its nll is the largest."""
    features = detector.entrance.embed(IMAGES).values()
    return np.argmax([-np.asarray(space.log_density(space(features))) for space in detector.spaces], axis=0)


def test_a_group_is_left_out_as_a_whole():
    """Every image twice, a little brighter: familiar where its twin was fitted, not where groups are kept together."""
    twins, groups = np.concatenate([IMAGES, np.clip(IMAGES, 0, 252) + 3]), np.tile(np.arange(40), 2)
    detector = FeatureMixture(SHAPE, encoder(), folds=4)
    alone, together = (detector.cross_fit(twins, groups=given)["nll"] for given in (None, groups))
    assert np.median(together - alone) > 20
    with pytest.raises(ValueError, match=r"4 folds take at least as many groups of images\. Received: 2"):
        detector.cross_fit(twins, groups=np.arange(80) % 2)


def test_it_comes_back_from_disk(fitted, tmp_path):
    detector, _, _ = fitted
    detector.save_pretrained(tmp_path)
    loaded = keras_ood.from_pretrained(tmp_path)
    with pytest.raises(RuntimeError, match="known after `cross_fit` alone"):
        loaded.held_out(IMAGES)
    with pytest.raises(RuntimeError, match="known after `cross_fit` alone"):
        loaded.cross_fit_maps(IMAGES)
    np.testing.assert_allclose(loaded.p_values(OTHERS), detector.p_values(OTHERS))
    np.testing.assert_allclose(loaded.inference_copy().score(OTHERS), detector.score(OTHERS), rtol=1e-5)


@pytest.mark.once_on_jax
@pytest.mark.parametrize("images", [30, 100])
def test_no_more_images_are_flagged_than_promised(images):
    """Twenty sets of features of one law: the mean share of fresh ones flagged is the promised one, up to its error."""
    blank, rng, flagged = encoder(), np.random.default_rng(images), []
    mixing = rng.normal(0, 1, (blank.width, blank.width)) / np.sqrt(blank.width)
    identity = blank.identity | {"given_shape": list(SHAPE)}
    for _ in range(20):
        made, fresh = (
            Embeddings((rng.standard_t(5, (size, blank.width)) @ mixing).astype(np.float32), identity) for size in (images, 500)
        )
        detector = FeatureMixture(SHAPE, blank, folds=5)
        detector.cross_fit(made)
        flagged.append(np.mean(detector.detect(fresh, fpr=0.1, progress=False)))
    error = np.std(flagged) / np.sqrt(len(flagged))
    assert np.mean(flagged) <= 0.1 + 3 * error
    assert np.mean(flagged) >= 0.04  # nor is it a detector that flags nothing


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"encoder": None}, "Received: encoder=None"),
        ({"encoder": "efficientnet-lite0", "folds": 1}, "folds=1"),
        ({"encoder": "no such encoder"}, "Received"),
    ],
)
def test_what_cannot_be(options, words):
    with pytest.raises(ValueError, match=words):
        FeatureMixture(SHAPE, **options)


def test_too_few_images_and_gradients_are_refused():
    detector = FeatureMixture(SHAPE, encoder())
    with pytest.raises(ValueError, match=r"at least 20 different images. Received: 19"):
        detector.cross_fit(IMAGES[:19])
    with pytest.raises(NotImplementedError, match="cross_fit"):
        detector.fit(IMAGES)
