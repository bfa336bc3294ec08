"""Images of other ratios: stretched, cropped in the middle, padded; the same in every way that images take."""

import keras
import numpy as np
import pytest
from PIL import Image

import keras_ood
from keras_ood.encoders import FrozenEncoder, MixtureSpace
from keras_ood.images import ImageFiles
from keras_ood.images.aspect import ASPECTS, PADDING, Placement
from keras_ood.images.preprocessing import Preprocessing
from keras_ood.images.resize_on_host import resize_on_host
from keras_ood.images.sources import gather
from keras_ood.models import Ensemble, FeatureMixture

RNG = np.random.default_rng(0)
SIZES = [(12, 16), (16, 12), (9, 9), (1, 30), (30, 1), (7, 40), (41, 7), (8, 8)]


def prepared(images, shape, aspect):
    return keras.ops.convert_to_numpy(Preprocessing(shape, aspect)(images))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("target", [(8, 8), (8, 12), (5, 3)])
def test_a_placement_keeps_the_ratio(size, target):
    """As far as whole pixels can, in the middle, and as large as possible."""
    top, left, height, width = Placement.of(size, target, "crop").window
    assert (height == size[0]) or (width == size[1])
    assert abs(size[0] - height - 2 * top) <= 1
    assert abs(size[1] - width - 2 * left) <= 1
    assert abs(height * target[1] - width * target[0]) <= max(target) / 2 + 1e-9 or 1 in (height, width)
    place = Placement.of(size, target, "pad")
    assert place.window == (0, 0, *size)
    assert any(inner == side for inner, side in zip(place.inner, target, strict=True))
    for inner, side, (before, after) in zip(place.inner, target, place.margins, strict=True):
        assert before + inner + after == side
        assert 0 <= after - before <= 1
    assert Placement.of(size, target, "stretch") == Placement((0, 0, *size), target, ((0, 0), (0, 0)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(12, 16), (16, 12), (7, 40)])
def test_crop_is_the_middle_and_pad_is_all(size, channels):
    images = RNG.integers(0, 256, (2, *size, channels), dtype=np.uint8)
    side = min(size)
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    middle = images[:, top : top + side, left : left + side]
    shape = (8, 8, channels)
    np.testing.assert_array_equal(prepared(images, shape, "crop"), prepared(middle, shape, "stretch"))
    padded = prepared(images, shape, "pad")
    (above, below), (before, after) = Placement.of(size, (8, 8), "pad").margins
    inside = padded[:, above : 8 - below, before : 8 - after]
    np.testing.assert_array_equal(inside, prepared(images, (*inside.shape[1:3], channels), "stretch"))
    outside = np.ones((8, 8), bool)
    outside[above : 8 - below, before : 8 - after] = False
    assert np.all(padded[:, outside] == PADDING)
    assert outside.any()


@pytest.mark.parametrize("aspect", ASPECTS)
def test_an_image_of_the_ratio_is_the_same_by_every_rule(aspect):
    images = RNG.integers(0, 256, (2, 12, 18, 3), dtype=np.uint8)
    np.testing.assert_array_equal(prepared(images, (8, 12, 3), aspect), prepared(images, (8, 12, 3), "stretch"))


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("size", [(300, 520), (901, 333)])
def test_photos_are_placed_alike_on_the_host(aspect, size):
    photo = RNG.integers(0, 256, (*size, 3), dtype=np.uint8)
    expected = prepared(photo[None], (16, 24, 3), aspect)[0]
    np.testing.assert_allclose(resize_on_host(photo, (16, 24), aspect), expected, atol=2e-5)


@pytest.mark.parametrize("aspect", ["crop", "pad"])
def test_a_detector_keeps_its_rule(fresh, digits, tmp_path, aspect):
    """In its copies and its preset; files and arrays score alike, and otherwise than stretched."""
    wide = np.concatenate([digits[0][:30], np.zeros_like(digits[0][:30])], axis=2)
    detector = fresh(aspect=aspect)
    detector.calibrate(digits[0][:40])
    detector.save_pretrained(tmp_path / "preset", in_distribution={"title": "digits"})
    loaded = keras_ood.from_pretrained(tmp_path / "preset")
    for other in (loaded, loaded.inference_copy(), loaded.remade()):
        assert other.preprocessing.aspect == aspect
    (tmp_path / "files").mkdir()
    for index, image in enumerate(wide):
        Image.fromarray(image[..., 0]).save(tmp_path / "files" / f"{index:02}.png")
    expected = detector.score(wide)
    np.testing.assert_allclose(loaded.score(ImageFiles(tmp_path / "files")), expected, rtol=1e-5)
    np.testing.assert_allclose(loaded.score(gather(wide, Preprocessing((8, 8, 1), aspect))), expected, rtol=1e-5)
    stretched = detector.remade(aspect="stretch")
    stretched.set_weights(detector.get_weights())
    assert np.max(np.abs(stretched.score(wide) - expected)) > 1e-2
    with pytest.raises(ValueError, match="same settings"):
        Ensemble([detector, fresh()])
    assert Ensemble([fresh(aspect=aspect), fresh(aspect=aspect)]).inference_copy().preprocessing.aspect == aspect


def test_embeddings_know_their_rule():
    """Those of another rule are refused, not taken for the detector's."""
    encoder = FrozenEncoder("efficientnet-lite0", (32, 32, 3), stages=[0])
    stretch, crop = (FeatureMixture((16, 16, 3), MixtureSpace(encoder), aspect=aspect) for aspect in ("stretch", "crop"))
    images = RNG.integers(0, 256, (4, 16, 32, 3), dtype=np.uint8)
    embeddings = crop.entrance.embed(images)
    np.testing.assert_allclose(embeddings.values(), stretch.entrance.embed(images[:, :, 8:24]).values(), atol=2e-3)
    assert np.max(np.abs(embeddings.values() - stretch.entrance.embed(images).values())) > 1e-2
    with pytest.raises(ValueError, match=r"shape and rule .*'crop'\)"):
        stretch.entrance.embed(embeddings)


def test_a_rule_that_is_none_is_refused(fresh):
    with pytest.raises(ValueError, match=r"one of \('stretch', 'crop', 'pad'\).*Received: 'cropp'"):
        fresh(aspect="cropp")
