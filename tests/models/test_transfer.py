"""Weights that go on to a detector for other images."""

import keras
import numpy as np
import pytest

import keras_ood
from keras_ood.images.preprocessing import LUMINANCE
from keras_ood.models import Ensemble, InFlow, TiltedVAE, transfer


def latents(detector, images):
    """`loc(x)` of images that are as the detector takes them."""
    return detector.posterior_parameters(images)[0]


def test_the_same_shape_takes_everything(fresh, digits):
    """Same statistics, no calibration, and the source stays as it was."""
    source = fresh()
    source.calibrate(digits[1][:40])
    moved = transfer(source)
    assert (moved.share, moved.fresh, moved.converted) == (1.0, (), ())
    assert str(moved) == "100.0% of the parameters reused"
    for name, values in source.statistics(digits[1][:5]).items():
        np.testing.assert_allclose(moved.detector.statistics(digits[1][:5])[name], values, rtol=1e-5)
    assert not moved.detector.calibrated_scores()
    assert source.calibrated_scores()


def test_from_grey_to_rgb_the_latent_is_that_of_the_luminance(fresh, images):
    """The encoder gives on an RGB image what the source gives on its luminance; the decoder writes grey in three channels."""
    source = fresh(image_shape=(16, 16, 1))
    moved = transfer(source, (16, 16, 3))
    assert moved.share == 1
    assert len(moved.converted) == 3  # first kernel; last kernel and bias
    rgb = np.asarray(moved.detector.preprocessing(images))
    grey = np.sum(rgb * np.float32(LUMINANCE), axis=-1, keepdims=True)
    np.testing.assert_allclose(latents(moved.detector, rgb), latents(source, grey), rtol=1e-4, atol=1e-5)
    decoded = np.asarray(moved.detector.decode(latents(moved.detector, rgb)))
    np.testing.assert_allclose(
        decoded, np.repeat(np.asarray(source.decode(latents(source, grey))), 3, -1), rtol=1e-4, atol=1e-5
    )


def test_from_rgb_to_grey_the_latent_is_that_of_the_repeated_image(fresh, digits):
    """The encoder gives on a grey image what the source gives on it as RGB; the decoder writes the luminance."""
    source = fresh(image_shape=(8, 8, 3))
    moved = transfer(source, (8, 8, 1))
    grey = np.asarray(moved.detector.preprocessing(digits[1][:5]))
    rgb = np.repeat(grey, 3, axis=-1)
    np.testing.assert_allclose(latents(moved.detector, grey), latents(source, rgb), rtol=1e-4, atol=1e-5)
    written = np.sum(np.asarray(source.decode(latents(source, rgb))) * np.float32(LUMINANCE), axis=-1, keepdims=True)
    np.testing.assert_allclose(np.asarray(moved.detector.decode(latents(moved.detector, grey))), written, rtol=1e-4, atol=1e-5)


def test_another_size_keeps_the_convolutions(fresh):
    """Dense layers between image and latent start anew, and the transfer names them."""
    moved = transfer(fresh(), (16, 24, 1))
    assert moved.detector.image_shape == (16, 24, 1)
    assert all("loc" in name or "dense" in name for name in moved.fresh)
    assert any("conv2d" in name for name in moved.reused)
    assert 0 < moved.share < 1
    assert "fresh: " in str(moved)


@pytest.mark.parametrize("shape", [(8, 8, 1), (12, 12, 1), (16, 16, 1)])
def test_a_flow_keeps_what_does_not_depend_on_the_size(shape):
    """A flow's networks fit images of any size; a third scale, where there is one, is fresh; the gate stays behind."""
    source = InFlow((12, 12, 1), depth=1, attention=0.5)
    moved = transfer(source, shape)
    assert moved.detector.attention is None
    assert bool(moved.fresh) == (shape[0] % 8 == 0)
    assert all("scale_2" in name or "conv2d" in name for name in moved.fresh)
    for new, old in zip(moved.detector.own_weights()[:5], source.own_weights()[:5], strict=True):
        np.testing.assert_array_equal(new.numpy(), old.numpy())


@pytest.mark.once
def test_copies_keep_class_and_policy():
    """Whatever is changed of a detector: it stays one of its subclass and policy, and its background keeps its own."""

    class Heir(InFlow):
        pass

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        source = Heir((8, 8, 1), depth=1)
    finally:
        keras.config.set_dtype_policy("float32")
    background = TiltedVAE((8, 8, 1), latent_dim=3, tilt=6.0)
    compared = source.with_background(background)
    for copy in (
        *(compared, compared.with_attention(0.5), compared.ungated(), compared.inference_copy(), compared.remade(depth=2)),
        *(transfer(source).detector, Ensemble([source, Heir((8, 8, 1), depth=1).inference_copy("mixed_bfloat16")]).members[0]),
    ):
        assert type(copy) is Heir
        assert copy.flow.steps[1].network.networks[0].layers[0].compute_dtype == "bfloat16"
        assert copy.background is None or copy.background.encoder.layers[0].compute_dtype == "float32"
    for new, old in zip(compared.with_attention(0.5).own_weights(), source.own_weights(), strict=True):
        np.testing.assert_array_equal(new.numpy(), old.numpy())


def test_what_does_not_fit_is_refused():
    """A size that the architecture cannot have; a flow of other channels shares no weight."""
    with pytest.raises(ValueError, match=r"multiples of 8. Received"):
        transfer(TiltedVAE((8, 8, 1), latent_dim=3, tilt=6.0), (10, 10, 1))
    with pytest.raises(ValueError, match=r"InFlow mixes channels everywhere.*Received: \[8, 8, 3\], from"):
        transfer(InFlow((8, 8, 1), depth=1), (8, 8, 3))


def test_a_preset_goes_to_other_images():
    """A pretrained grey detector of 32x32 images becomes one for RGB images of 64x64."""
    moved = transfer(keras_ood.from_pretrained("tilted-vae-fashion-mnist-pixels"), (64, 64, 3))
    assert np.all(np.isfinite(moved.detector.score(np.zeros((2, 64, 64, 3), np.uint8), "nll")))
