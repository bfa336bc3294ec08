"""The tilted VAE: networks, likelihood, divergence, settings."""

import keras
import numpy as np
import pytest
from scipy import stats

import keras_ood
from keras_ood.distributions import TiltedGaussian
from keras_ood.models import TiltedVAE


@pytest.mark.once
def test_paper_architecture_has_the_published_number_of_parameters():
    """592,991 parameters at 32x32x1 and 10 latents: 243,742 encode, 349,249 decode; 1,608,783 for colour and 100 latents."""
    vae = TiltedVAE((32, 32, 1), latent_dim=10, tilt=15.0, architecture="paper", scale=1.0)
    assert vae.encoder.count_params() + vae.loc_head.count_params() == 243_742
    assert vae.decoder.count_params() == 349_249
    assert vae.count_params() == 592_991
    assert TiltedVAE((32, 32, 3), latent_dim=100, tilt=25.0, architecture="paper", scale=1.0).count_params() == 1_608_783
    learned = TiltedVAE((32, 32, 1), latent_dim=10, tilt=15.0, architecture="paper")
    assert learned.count_params() == 592_991 + 1


def test_paper_architecture_trains_and_scores(fresh, images):
    """One step moves every weight of the paper's networks; statistics stay finite."""
    vae = fresh(image_shape=(32, 32, 1), architecture="paper")
    before = {weight.path: weight.numpy().copy() for weight in vae.trainable_variables}
    vae.fit(keras.ops.convert_to_numpy(vae.preprocessing(images[:8])), verbose=0)
    assert all(np.any(before[weight.path] != weight.numpy()) for weight in vae.trainable_variables)
    assert all(np.all(np.isfinite(values)) for values in vae.statistics(images[:8], batch_size=8).values())


@pytest.mark.parametrize(("tilt", "scale"), [(6.0, None), (0.0, 0.2)])
def test_statistics_are_what_their_formulas_say(fresh, images, tilt, scale):
    """Reconstruction is scipy's Gaussian log-density with its constant, nll the sum, kl that of the prior."""
    vae = fresh(tilt=tilt, scale=scale)
    statistics = vae.statistics(images)
    originals, _ = vae.reconstruct(images)
    posterior = vae.posterior(keras.ops.convert_to_tensor(originals))
    mean = keras.ops.convert_to_numpy(vae.likelihood(posterior.mean()).mean())
    density = stats.norm.logpdf(originals, mean, scale or 0.3).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(statistics["reconstruction"], -density, rtol=1e-4)
    np.testing.assert_allclose(statistics["squared_error"], np.square(originals - mean).sum(axis=(1, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(statistics["nll"], statistics["reconstruction"] + statistics["kl"], rtol=1e-5)
    loc, stddev = (keras.ops.convert_to_numpy(value) for value in (posterior.mean(), posterior.stddev()))
    norm = np.linalg.norm(loc, axis=-1)
    np.testing.assert_allclose(statistics["latent_norm"], norm, rtol=1e-4)
    prior = TiltedGaussian(tilt, 3)
    if tilt:
        expected = prior.committed_rate + (norm - prior.optimal_radius) ** 2 / 2
    else:
        expected = (loc**2 + stddev**2 - 1 - 2 * np.log(stddev)).sum(axis=-1) / 2
    np.testing.assert_allclose(statistics["kl"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(statistics["shell_distance"], np.abs(norm - prior.optimal_radius), rtol=1e-4, atol=1e-5)


def test_local_contrast_is_the_mean_standard_deviation_of_windows(fresh, images):
    """Against a direct NumPy computation over all 3x3 windows."""
    vae = fresh(image_shape=(8, 8, 3))
    originals, _ = vae.reconstruct(images)
    windows = np.lib.stride_tricks.sliding_window_view(originals, (3, 3), axis=(1, 2))
    expected = windows.std(axis=(-2, -1)).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(vae.statistics(images)["local_contrast"], expected, rtol=1e-3)


def test_exact_and_quadratic_kl_differ_as_they_should(fresh, images):
    """Same weights: the quadratic form touches the exact one at the optimal radius, and is larger towards the origin."""
    quadratic, exact = fresh(kl="quadratic"), fresh(kl="exact")
    exact.set_weights(quadratic.get_weights())
    near_origin = quadratic.statistics(images)
    assert near_origin["latent_norm"].max() < quadratic.prior().optimal_radius / 2
    assert np.all(near_origin["kl"] > exact.statistics(images)["kl"])


def test_many_samples_approach_the_expected_error(fresh, images):
    """For a linear decoder the mean over draws is known; here: more draws vary less between seeds."""
    vae = fresh()

    def mean(samples, seed):
        return vae.score(images, samples=samples, seed=seed, batch_size=40).mean()

    assert np.std([mean(64, seed) for seed in range(8)]) < np.std([mean(1, seed) for seed in range(8)]) / 2


def test_trained_shell(pretrained, digits):
    """Training moves in-distribution latents to the shell of the prior, away from the origin."""
    statistics = pretrained.statistics(digits[1])
    radius = pretrained.prior().optimal_radius
    assert abs(statistics["latent_norm"].mean() - radius) < 0.5 * radius


def test_samples_come_through_the_tilted_sampler(pretrained, digits):
    """Decodes of the prior score like in-distribution images; decodes of N(0, I), inside the shell, do not look alike."""
    drawn = pretrained.sample(200)
    mean_image = digits[1].mean(axis=0) / 255
    shown = keras.ops.convert_to_numpy(pretrained.preprocessing(digits[1])).mean(axis=0)
    assert mean_image.shape == (8, 8, 1)
    assert np.corrcoef(drawn.mean(axis=0).ravel(), shown.ravel())[0, 1] > 0.9


BAD_SETTINGS = {
    "tilt below critical": ({"tilt": 1.0}, "critical tilt.*Received: 1.0"),
    "negative tilt": ({"tilt": -3.0}, "Received: -3.0"),
    "infinite tilt": ({"tilt": float("inf")}, "Received: inf"),
    "architecture": ({"architecture": "tiny"}, r"\['paper', 'small'\]. Received: 'tiny'"),
    "kl": ({"kl": "approximate"}, "Received: 'approximate'"),
    "quadratic without tilt": ({"tilt": 0, "kl": "quadratic"}, "Received: 'quadratic'"),
    "scale": ({"scale": 0.0}, "Received: 0.0"),
    "latents": ({"latent_dim": 0}, "Received: 0"),
    "size for small": ({"image_shape": (10, 8, 1)}, "multiples of 8. Received: "),
    "size for paper": ({"architecture": "paper"}, "32x32 images. Received: "),
    "score": ({"default_score": "nil"}, "Received: 'nil'"),
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_bad_settings(fresh, name):
    """Every setting out of bounds is a ValueError that says what is accepted."""
    settings, message = BAD_SETTINGS[name]
    with pytest.raises(ValueError, match=message):
        fresh(**settings)


def test_preprocessing_is_luminance_and_the_same_for_all(fresh):
    """RGB to grey by luminance, grey to RGB by repetition, uint8 as float/255, right sizes untouched."""
    vae = fresh(image_shape=(8, 8, 1))
    colour = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    grey = keras.ops.convert_to_numpy(vae.preprocessing(colour))
    np.testing.assert_allclose(grey[..., 0], (colour / 255) @ [0.299, 0.587, 0.114], atol=1e-6)
    as_float = keras.ops.convert_to_numpy(vae.preprocessing((colour / 255).astype(np.float32)))
    np.testing.assert_allclose(grey, as_float, atol=1e-6)
    repeated = keras.ops.convert_to_numpy(fresh(image_shape=(8, 8, 3)).preprocessing(colour[..., :1]))
    np.testing.assert_array_equal(repeated[..., 0], repeated[..., 2])
    constant = np.full((1, 30, 20, 1), 0.25, np.float32)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(vae.preprocessing(constant)), 0.25, atol=1e-6)


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "laws"),
    [
        ("digits", {"nll": "binomial", "density_of_states": "binomial"}),
        ("fashion_mnist", {"nll": "binomial", "density_of_states": "binomial"}),
        ("mnist", {"nll": "beta-binomial"}),
        ("cifar10", {"density_of_states": "binomial"}),
    ],
    ids=lambda value: value if isinstance(value, str) else " and ".join(value),
)
def test_false_positive_rate_holds_on_fresh_images(name, laws, digits, real):
    """`detect(fpr=0.05)` on the test split, never trained on nor calibrated with: within the 99 % interval of its law.

    The binomial interval takes the threshold as exact; the beta-binomial one, the law of split conformal prediction, knows
    that it comes from n calibration images too. MNIST's test digits were written by other people than its training digits
    and are flagged less than promised (the card says how often): the narrower interval is not met there, and the wider one
    not by its density of states.
    """
    images = digits[1] if name == "digits" else real(name)[0]
    preset = f"tilted-vae-{name.replace('_', '-')}"
    detector = keras_ood.from_pretrained(preset if name == "digits" else f"{preset}-pixels")
    for score, law in laws.items():
        calibration_size = len(detector.calibration(score))
        rank = int(0.05 * (calibration_size + 1))
        counts = {
            "binomial": stats.binom(len(images), 0.05),
            "beta-binomial": stats.betabinom(len(images), rank, calibration_size + 1 - rank),
        }[law]
        low, high = counts.interval(0.99)
        assert low <= detector.detect(images, fpr=0.05, method=score).sum() <= high, score


@pytest.mark.once
def test_fashion_mnist_against_mnist(real):
    """The headline: AUROC per image, full test splits, no OOD data used: 0.99 or more."""
    assert len(real("fashion_mnist")[0]) == len(real("mnist")[0]) == 10_000
    detector = keras_ood.from_pretrained("tilted-vae-fashion-mnist-pixels")
    report = keras_ood.evaluate(detector, "fashion_mnist", {"mnist": None}, ["nll", "local_contrast"], resamples=0)
    assert max(row.auroc.value for row in report.rows) >= 0.99
