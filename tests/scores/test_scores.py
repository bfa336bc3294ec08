"""The score catalogue: what each score says, and what every detector makes of it."""

import math

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats
from sklearn.mixture import GaussianMixture

import keras_ood
from keras_ood import NotCalibratedError, scores
from keras_ood.attention import PerImageGate
from keras_ood.calibration.calibrated_scores import CalibratedScores
from keras_ood.models import Ensemble, InFlow, TiltedVAE
from keras_ood.scores import Fit, features

STATISTICS = {
    "nll": np.array([1.0, 2.0], np.float32),
    "nll_variance": np.array([0.5, 0.25], np.float32),
    "peak": np.array([4.0, 6.0], np.float32),
    "background_nll": np.array([3.0, 1.0], np.float32),
    "code_length": np.array([10.0, 20.0], np.float32),
    "reconstruction": np.array([0.5, 1.0], np.float32),
    "kl": np.array([0.5, 1.0], np.float32),
    "latent_norm": np.array([2.0, 5.0], np.float32),
    "shell_distance": np.array([0.1, 0.2], np.float32),
    "squared_error": np.array([4.0, 9.0], np.float32),
    "local_contrast": np.array([0.09, 0.19], np.float32),
    "mahalanobis": np.array([3.0, 4.0], np.float32),
    "knn": np.array([5.0, 7.0], np.float32),
    "iwae": np.array([-1.0, -2.0], np.float32),
    "likelihood_regret": np.array([0.0, 7.0], np.float32),
    "will_it_move": np.array([8.0, 9.0], np.float32),
    "gradient_norm_00": np.exp(np.array([1.0, 2.0])),
    "gradient_norm_01": np.exp(np.array([0.0, 4.0])),
}
FITTED = {
    "typicality": Fit(("nll",), {"mean": np.array(1.75)}),
    "path_norms": Fit(("squared_error", "latent_norm"), {"location": np.array([0.0, 1.0]), "precision": np.eye(2)}),
    "fusion": Fit(("nll", "knn"), {"mean": np.array([1.0, 6.0]), "sd": np.array([0.5, 2.0])}),
    "gradient_norm": Fit(("gradient_norm_00", "gradient_norm_01"), {"mean": np.array([0.0, 2.0]), "sd": np.array([1.0, 2.0])}),
}
EXPECTED = {
    "nll": [1, 2],
    "peak": [4, 6],
    "iwae": [-1, -2],
    "reconstruction": [0.5, 1],
    "kl": [0.5, 1],
    "latent_norm": [2, 5],
    "shell_distance": [0.1, 0.2],
    "typicality": [0.75, 0.25],
    "input_complexity": [-9, -18],
    "local_contrast": [20, 15],
    "likelihood_ratio": [-2, 1],
    "likelihood_regret": [0, 7],
    "waic": [1.5, 2.25],
    "path_norms": [math.sqrt(5), 5],
    "gradient_norm": [2, 5],
    "mahalanobis": [3, 4],
    "knn": [5, 7],
    "fusion": [-math.asinh(0.5), math.asinh(2) + math.asinh(0.5)],
    "will_it_move": [8, 9],
}
DENSITIES = {"density_of_states", "ensemble"}  # fitted to a whole sample, tested on one


def test_every_score_is_tested():
    """A new score has a value worked out by hand here, or a test of its own."""
    assert set(EXPECTED) | DENSITIES == set(scores.names())


@pytest.mark.parametrize("name", EXPECTED)
def test_scores_are_what_their_docstrings_say(name):
    """Each score against a value computed by hand."""
    np.testing.assert_allclose(scores.get(name)(STATISTICS, FITTED.get(name, Fit())), EXPECTED[name], rtol=1e-5)


def test_unknown_score():
    """The error lists the catalogue and a close name."""
    with pytest.raises(ValueError, match=r"one of \['nll', .*Did you mean 'nll'\? Received: 'nlll'"):
        scores.get("nlll")


def sample(count, seed=0):
    """Statistics of `count` in-distribution images: two that go together, and a signed one."""
    generator = np.random.default_rng(seed)
    common = generator.normal(size=count)
    return {
        "squared_error": np.exp(common + 0.1 * generator.normal(size=count)),
        "local_contrast": np.exp(common + 0.1 * generator.normal(size=count)),
        "latent_norm": np.exp(0.2 * generator.normal(size=count)),
        "log_det": generator.normal(size=count),
    }


def test_density_of_states_is_a_density_of_logarithms():
    """On Gaussian logarithms the score is the Gaussian's negative log-density, up to sampling error."""
    score, statistics = scores.get("density_of_states"), sample(4000)
    fresh = sample(500, seed=1)
    found = score(fresh, score.fit(statistics))
    scaling = features.fit_scaling(statistics)
    known, new = features.scaled(statistics, scaling, np), features.scaled(fresh, scaling, np)
    expected = -stats.multivariate_normal(known.mean(axis=0), np.cov(known.T) + 1e-3 * np.eye(4)).logpdf(new)
    assert np.corrcoef(found, expected)[0, 1] > 0.98


def test_density_of_states_is_the_mixture_of_scikit_learn():
    """The log-density by its formula is `GaussianMixture.score_samples`, of several components, far out too."""
    generator = np.random.default_rng(2)
    groups = [sample(400, seed) for seed in (0, 1)]
    statistics = {name: np.concatenate([groups[0][name], 20 * groups[1][name]]) for name in groups[0]}
    fit = scores.get("density_of_states").fit(statistics)
    fitted = fit.arrays
    mixture = GaussianMixture(len(fitted["weights"]))
    mixture.weights_, mixture.means_ = fitted["weights"], fitted["means"]
    mixture.precisions_cholesky_ = fitted["precisions_cholesky"]
    assert mixture.n_components > 1
    for factor in (1.0, 1e3, 1e-3):
        images = {name: factor * values * generator.random(len(values)) for name, values in statistics.items()}
        expected = -mixture.score_samples(features.scaled(fit.select(images), fitted, np))
        np.testing.assert_allclose(scores.get("density_of_states")(images, fit), expected, rtol=1e-9)


def test_density_of_states_sees_what_single_statistics_do_not():
    """An error that is usual, and a contrast that is usual, may be unusual together: too low an error for such an image."""
    score, statistics = scores.get("density_of_states"), sample(2000)
    odd = {name: np.full(1, np.median(values)) for name, values in statistics.items()}
    odd["squared_error"], odd["local_contrast"] = np.exp([-1.0]), np.exp([1.0])
    fitted = score.fit(statistics)
    assert score(odd, fitted)[0] > np.quantile(score(statistics, fitted), 0.999)


def test_ensemble_combines_p_values_of_both_tails():
    """Fisher's sum over standardised logarithms: 0 in their middle, a normal law's -2 log(2 Phi(-z)) for each z sds out."""
    score, statistics = scores.get("ensemble"), sample(2000)
    fitted = score.fit(statistics)
    for sds in (0.0, 3.0, -3.0, 30.0):
        logarithms = fitted.arrays["mean"] + sds * fitted.arrays["sd"]
        images = {
            name: np.array([value if name == "log_det" else np.exp(value) - offset])
            for name, value, offset in zip(fitted.statistics, logarithms, fitted.arrays["offset"], strict=True)
        }
        expected = 4 * -2 * (math.log(2) + stats.norm.logsf(abs(sds)))
        np.testing.assert_allclose(score(images, fitted), expected, rtol=1e-9, atol=1e-9)


def test_ensemble_passes_over_what_never_varies():
    """A statistic that never varies, such as the saturation of grey images, says nothing of an image that has it too."""
    score, statistics = scores.get("ensemble"), sample(200)
    constant = statistics | {"saturation": np.zeros(200)}
    np.testing.assert_allclose(score(constant, score.fit(constant)), score(statistics, score.fit(statistics)), atol=1e-9)


ALL = {"batch_size": 48}  # of all tests here: every further size is compiled anew


def noise_images(count=48):
    return np.random.default_rng(5).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)


def vae(tilt=6.0, **settings):
    return TiltedVAE((8, 8, 1), latent_dim=3, tilt=tilt, **settings)


DETECTORS = {
    "tilted": lambda: vae(background=vae()),
    "Gaussian": lambda: vae(0.0),
    "flow": lambda: InFlow((8, 4, 1), depth=1),
    "ensemble": lambda: Ensemble([vae(), vae()]),
}
OF_ENCODERS = {"knn", "fusion", "peak"}
LACKING = {
    "tilted": {"waic", "mahalanobis"},
    "Gaussian": {"waic", "mahalanobis", "likelihood_ratio", "will_it_move"},
    "flow": {
        *("iwae", "reconstruction", "kl", "shell_distance", "local_contrast", "likelihood_ratio", "likelihood_regret", "waic"),
        *("path_norms", "mahalanobis", "will_it_move"),
    },
    "ensemble": {"iwae", "likelihood_ratio", "likelihood_regret", "mahalanobis", "will_it_move"},
}


@pytest.fixture(params=DETECTORS)
def named(request):
    return request.param, DETECTORS[request.param]()


def test_available_scores(named):
    """A score is available where the detector has what it takes; asking for another names those that are."""
    name, detector = named
    assert set(scores.names()) - set(scores.available(detector)) == LACKING[name] | OF_ENCODERS
    for missing in LACKING[name] | OF_ENCODERS:
        with pytest.raises(ValueError, match=rf"has the scores \['nll'.*Received: '{missing}'"):
            detector.score(noise_images(), missing, **ALL)


def test_every_available_score_varies_and_has_p_values(named):
    """No score is constant or not finite, whatever its cost; all but the transductive ones have p-values."""
    _, detector = named
    images = noise_images()
    asked = [name for name in scores.available(detector) if not scores.get(name).transductive]
    detector.calibrate(images, methods=asked, **ALL)
    assert set(detector.calibrated_scores()) == set(asked)
    for name in scores.available(detector):
        values = detector.score(images, name, **ALL)
        assert values.shape == (48,)
        assert values.dtype == np.float32
        assert np.all(np.isfinite(values)), name
        assert np.std(values) > 1e-5, name
        if name in asked:
            np.testing.assert_array_less(detector.calibration(name).p_values(values), 1 + 1e-9)


def test_fitted_scores_are_saved(tmp_path):
    """A saved detector scores, ranks and compares with its background as before."""
    detector = DETECTORS["tilted"]()
    detector.calibrate(noise_images(), methods=["density_of_states", "ensemble", "likelihood_ratio", "path_norms"], **ALL)
    detector.save_pretrained(tmp_path / "preset")
    loaded = keras.saving.load_model(tmp_path / "preset", safe_mode=True)
    for name in detector.calibrated_scores():
        np.testing.assert_allclose(
            loaded.score(noise_images(), name, **ALL), detector.score(noise_images(), name, **ALL), rtol=1e-5
        )
        np.testing.assert_array_equal(loaded.calibration(name).scores, detector.calibration(name).scores)
    assert loaded.background.trainable_weights == []


def test_fits_name_their_statistics():
    """More statistics, or others' order, change no score; one that is missing is refused by name."""
    score, statistics = scores.get("density_of_states"), sample(200)
    fit = score.fit(statistics)
    assert fit.statistics == ("squared_error", "latent_norm", "local_contrast", "log_det")
    expected = score(statistics, fit)
    others = {"brightness": np.ones(200)} | dict(reversed(statistics.items()))
    np.testing.assert_array_equal(score(others, fit), expected)
    with pytest.raises(
        ValueError, match=r"fitted to the statistics \['squared_error'.*Received: \['squared_error', 'latent_norm'\]"
    ):
        score({name: statistics[name] for name in ("squared_error", "latent_norm")}, fit)


def test_fits_without_names_are_refused():
    """Arrays from before fits named their statistics, and calibrations their weights: said so, in place of a wrong score."""
    arrays = CalibratedScores([scores.get("typicality")], {"nll": np.arange(100.0)}, bytes(32)).arrays()
    kept = CalibratedScores.from_arrays(arrays)
    assert kept.fit_of(scores.get("typicality")).statistics == ("nll",)
    for missing in ("fitted_to.typicality", "weights_sha256"):
        with pytest.raises(ValueError, match=r"calibrate the detector again .*Received: fits of \['typicality'\]"):
            CalibratedScores.from_arrays({name: array for name, array in arrays.items() if name != missing})


class Spread(scores.Score):
    """A score of somebody else's: how far the brightness is from usual."""

    name, cost, needs, fits = "spread", "1 pass", ("brightness",), True

    def fit_arrays(self, statistics):
        """Return the mean."""
        return {"mean": np.asarray(np.mean(statistics["brightness"]))}

    def formula(self, statistics, fitted, xp):
        """Return the distance from it."""
        return xp.abs(statistics["brightness"] - fitted["mean"])


def test_scores_of_others_are_scores_like_any(monkeypatch, tmp_path, fresh):
    """Registered, a score is known by its name: calibrated, saved, loaded; once more under its own name, never another's."""
    monkeypatch.setattr(scores, "_CATALOGUE", dict(scores._CATALOGUE))
    scores.register(Spread())
    detector, images = fresh(), noise_images()
    detector.calibrate(images, methods=["spread"], **ALL)
    detector.save_pretrained(tmp_path / "out")
    loaded = keras_ood.from_pretrained(tmp_path / "out")
    np.testing.assert_array_equal(loaded.p_values(images, "spread", **ALL), detector.p_values(images, "spread", **ALL))
    assert scores.register(Spread()) is scores.get("spread")  # a notebook's cell that runs again
    with pytest.raises(ValueError, match="Received: 'nll'"):
        scores.register(type("Other", (Spread,), {"name": "nll"})())
    with pytest.raises(ValueError, match="an identifier as its `name`"):
        scores.register(type("Other", (Spread,), {"name": "not a name"})())
    with pytest.raises(ValueError, match="an instance of `Score`"):
        scores.register(Spread)


def test_fitted_scores_need_a_calibration():
    """A score that must be fitted says so, before it looks at an image; `fit` forgets what it was fitted to."""
    detector = vae()
    with pytest.raises(NotCalibratedError, match="'typicality' is fitted"):
        detector.score(noise_images(), "typicality", **ALL)
    detector.calibrate(noise_images(), **ALL)
    assert "typicality" in detector.ready_scores()
    detector.fit(noise_images() / np.float32(255), batch_size=48, verbose=0)
    assert "typicality" not in detector.ready_scores()


def test_fits_and_p_values_share_no_image():
    """Fitted to every other image, ranked among the rest."""
    detector, images = vae(), noise_images()
    detector.calibrate(images, **ALL)
    assert len(detector.calibration("nll")) == 48
    assert len(detector.calibration("typicality")) == 24
    nll = detector.score(images, **ALL)
    np.testing.assert_allclose(
        detector.calibration("typicality").scores, np.sort(np.abs(nll - nll[::2].mean())[1::2]), atol=1e-3
    )


def test_transductive_scores_have_no_calibration():
    """What depends on the batch cannot be ranked against other batches."""
    with pytest.raises(ValueError, match=r"transductive .*Received: \['will_it_move'\]"):
        vae().calibrate(noise_images(), methods=["will_it_move"], **ALL)
    with pytest.raises(ValueError, match=r"transductive .*Received: 'will_it_move'"):
        vae().p_values(noise_images(), "will_it_move", **ALL)


@pytest.mark.parametrize("tilt", [0.0, 6.0])
def test_log_weights_hold_the_exact_kl(tilt):
    """With pixels that say nothing, the mean of log p(z) - log q(z|x) over draws is minus the exact KL."""
    detector = vae(tilt, kl="exact", scale=100.0)
    images = noise_images(5) / np.float32(255)
    weights = detector.log_weights(images, detector.draw_noise(1000, seed=1)).mean(axis=0)
    statistics = detector.statistics(images, **ALL)
    np.testing.assert_allclose(weights + statistics["reconstruction"], -statistics["kl"], rtol=0.02, atol=0.05)


def test_iwae_is_a_tighter_bound():
    """More draws never loosen the bound in the mean, and one draw is the stochastic nll with the exact KL's integrand."""
    detector = vae(0.0)
    images = noise_images() / np.float32(255)
    noise = detector.draw_noise(64, seed=0)
    weights = detector.log_weights(images, noise)
    assert weights.shape == (64, 48)
    elbo = -weights.mean(axis=0)
    assert np.all(detector.score(noise_images(), "iwae", **ALL) <= elbo + 1e-3)
    np.testing.assert_allclose(elbo.mean(), detector.statistics(images, samples=64, **ALL)["nll"].mean(), rtol=0.01)


@pytest.mark.parametrize("tilt", [0.0, 6.0])
def test_likelihood_regret_is_a_gain(tilt):
    """The regret is never negative, and the posterior it starts from has the detector's own nll."""
    detector = vae(tilt)
    images = noise_images() / np.float32(255)
    loc, scale = detector.posterior_parameters(images)
    values, slope = detector.posterior_nll(loc, scale, images)
    np.testing.assert_allclose(values, detector.score(images, **ALL), rtol=1e-5)
    regret = detector.score(images, "likelihood_regret", **ALL)
    assert np.all(regret >= 0)
    alone = detector.score(images[7:8], "likelihood_regret", **ALL)
    np.testing.assert_allclose(alone, regret[7:8], rtol=0.01)
    step = 1e-3 * np.sign(slope)
    rise = (detector.posterior_nll(loc + step, scale, images)[0] - detector.posterior_nll(loc - step, scale, images)[0]) / 2
    expected = np.sum(step * slope, axis=-1)  # of single images only up to the network's kinks
    np.testing.assert_allclose(np.median(rise / expected), 1, rtol=0.02)
    np.testing.assert_allclose(rise.mean(), expected.mean(), rtol=0.05)


def test_gradient_norms_are_those_of_each_image_alone():
    """Against the gradient of one image's nll, taken by the training step of another library function."""
    detector = vae()
    images = noise_images(3) / np.float32(255)
    norms = np.stack(list(scores.get("gradient_norm").measure(detector, images).values()), axis=-1)
    assert norms.shape == (3, len(detector.trainable_weights))
    bias = detector.decoder.layers[-1].bias  # of the image: d nll / d bias = sum of the errors / scale^2
    index = [weight is bias for weight in detector.trainable_weights].index(True)
    originals, (latents, _) = images, detector.posterior_parameters(images)
    errors = ops.convert_to_numpy(detector.likelihood(ops.convert_to_tensor(latents)).mean()) - originals
    expected = (errors.sum(axis=(1, 2, 3)) / 0.3**2) ** 2
    np.testing.assert_allclose(norms[:, index], expected, rtol=1e-3)


def test_compiled_functions_see_new_weights():
    """A function compiled before the weights changed uses the weights as they are."""
    detector, other = vae(), vae()
    images = noise_images(4) / np.float32(255)
    detector.posterior_parameters(images)
    detector.set_weights(other.get_weights())
    np.testing.assert_allclose(detector.posterior_parameters(images)[0], other.posterior_parameters(images)[0], rtol=1e-5)


def test_input_complexity_is_that_of_the_image():
    """Noise has a longer code than one grey level, by about its entropy."""
    detector = vae()
    images = np.concatenate([noise_images(1), np.full((1, 8, 8, 1), 77, np.uint8)])
    noise, constant = detector.statistics(images, methods=["input_complexity"], **ALL)["code_length"]
    assert noise - constant > 0.8 * 64 * math.log(256)


def test_waic_is_of_the_members():
    """Mean and variance over the members, statistic by statistic."""
    members = [vae(), vae()]
    detector, images = Ensemble(members), noise_images()
    each = np.stack([member.score(images, **ALL) for member in members])
    np.testing.assert_allclose(detector.score(images, "waic", **ALL), each.mean(axis=0) + each.var(axis=0), rtol=1e-4)


class Heir(TiltedVAE):
    """A subclass of somebody else's."""


def gate(alpha=0.05):
    encoder = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    return PerImageGate.from_images(encoder, noise_images(80), noise_images(30), components=4, alpha=alpha)


def flow(**settings):
    return InFlow((8, 8, 1), depth=1, **settings)


UNLIKE = {
    "one alone": (lambda: [vae()], "two or more.*Received: 1"),
    "what is no detector": (lambda: [vae(), "tilted-vae-digits"], r"detectors all.*Received: 2, \['TiltedVAE', 'str'\]"),
    "another prior": (lambda: [vae(), vae(0.0)], r"'tilt': \[6.0, 0.0\]"),
    "another class": (lambda: [vae(), Heir((8, 8, 1), 3, 6.0)], "'class': .*Heir"),
    "another policy": (lambda: [vae(), vae().inference_copy("mixed_bfloat16")], "'dtype': .*bfloat16"),
    "one with a background": (lambda: [vae(background=vae()), vae()], "'background"),
    "one with a gate": (lambda: [flow(attention=gate()), flow()], "'attention"),
    "another gate": (lambda: [flow(attention=gate(alpha)) for alpha in (0.05, 0.1)], r"alpha': \[0.05, 0.1\]"),
    "one twice": (lambda: [vae().inference_copy()] * 2, "weights of their own.*same ones twice"),
}


@pytest.mark.once
@pytest.mark.parametrize("unlike", UNLIKE)
def test_an_ensemble_is_of_like_members(unlike):
    """One class, the same settings of every part, other weights: the error names what differs."""
    build, message = UNLIKE[unlike]
    with pytest.raises(ValueError, match=message):
        Ensemble(build())


@pytest.mark.once
def test_what_members_have_in_common_is_kept():
    """One background is the ensemble's, in copies too; several are nobody's; the dtype policy is that of the members."""
    background, images = vae(), noise_images()
    detector = Ensemble([vae(background=background), vae(background=background)])
    expected = detector.score(images, "nll", **ALL) - background.score(images, **ALL)
    for one in (detector, detector.inference_copy()):
        np.testing.assert_allclose(one.score(images, "likelihood_ratio", **ALL), expected, rtol=1e-3, atol=1e-2)
    assert Ensemble([vae(background=vae()), vae(background=vae())]).background is None
    mixed = Ensemble([vae().inference_copy("mixed_bfloat16") for _ in range(2)])
    assert mixed.inference_copy().members[0].decoder.layers[-1].compute_dtype == "bfloat16"


def test_ensemble_is_saved(tmp_path):
    """Members' weights and the ensemble's calibration come back."""
    detector = DETECTORS["ensemble"]()
    detector.calibrate(noise_images(), **ALL)
    detector.save_pretrained(tmp_path / "preset")
    loaded = keras.saving.load_model(tmp_path / "preset", safe_mode=True)
    np.testing.assert_allclose(loaded.score(noise_images(), **ALL), detector.score(noise_images(), **ALL), rtol=1e-5)
    np.testing.assert_array_equal(loaded.p_values(noise_images(), **ALL), detector.p_values(noise_images(), **ALL))
    assert detector.statistics(noise_images(), samples=2, **ALL)["nll"].shape == (48,)


def test_calibrating_one_more_score_keeps_the_others():
    """The page's line: p-values of a costly score, and the default score goes on."""
    detector = vae(default_score="density_of_states")
    detector.calibrate(noise_images(), **ALL)
    before = detector.score(noise_images(), **ALL)
    detector.calibrate(noise_images(), methods=["iwae"], **ALL)
    np.testing.assert_array_equal(detector.score(noise_images(), **ALL), before)
    assert {"iwae", "density_of_states"} <= set(detector.calibrated_scores())


def test_sizes_that_calibration_needs():
    """20 images, 40 for scores that are fitted: the error names both."""
    detector = vae(default_score="typicality")
    for count in (2, 30):
        with pytest.raises(ValueError, match=rf"at least 20 different images, 40 .*Received: {count} different"):
            detector.calibrate(noise_images(count), **ALL)


def test_backgrounds_are_kept_and_checked():
    """Another attention or another background leaves the rest as it is; what is no detector of such images is refused."""
    first, second = vae(), vae()
    detector = vae(background=first)
    images = noise_images()
    other = detector.with_background(second)
    np.testing.assert_allclose(other.score(images, **ALL), detector.score(images, **ALL), rtol=1e-5)
    expected = detector.score(images, **ALL) - second.score(images, **ALL)
    np.testing.assert_allclose(other.score(images, "likelihood_ratio", **ALL), expected, rtol=1e-3, atol=1e-2)
    flow = InFlow((8, 8, 1), depth=1, background=first)
    np.testing.assert_allclose(flow.with_attention(0.5).background.score(images, **ALL), first.score(images, **ALL), rtol=1e-5)
    with pytest.raises(ValueError, match=r"`background` must be a detector of \(8, 8, 1\).*Received: "):
        vae(background=TiltedVAE((16, 16, 1), latent_dim=3, tilt=6.0))
    with pytest.raises(ValueError, match=r"needs the statistics \('nll', 'background_nll'\)"):
        detector.score_statistics(detector.statistics(images, **ALL), "likelihood_ratio")


@pytest.mark.once
def test_stochastic_passes_are_those_of_every_model_that_is_asked():
    """`samples` and `seed` reach the background, the members, and the draws of a score's own."""
    first, second = vae(0.0), vae(0.0)
    images, options = noise_images(), {"samples": 2, "seed": 3} | ALL

    def drawn(detector, name="nll", seed=3):
        return detector.score(images, name, **options | {"seed": seed})

    detector = vae(background=second)
    np.testing.assert_allclose(drawn(detector, "likelihood_ratio"), drawn(detector) - drawn(second), rtol=1e-3, atol=1e-2)
    each = np.stack([drawn(first), drawn(second)])
    np.testing.assert_allclose(drawn(Ensemble([first, second]), "waic"), each.mean(axis=0) + each.var(axis=0), rtol=1e-3)
    assert np.all(drawn(detector, "iwae") != drawn(detector, "iwae", seed=4))


def test_will_it_move_starts_anew_with_every_batch():
    """The same batch has the same scores after another one; the detector's own weights stay as they are."""
    detector, images = vae(), noise_images()
    before = detector.get_weights()
    first = detector.score(images, "will_it_move", **ALL)
    detector.score(255 - images, "will_it_move", **ALL)
    for again in (detector, detector.inference_copy()):
        np.testing.assert_allclose(again.score(images, "will_it_move", **ALL), first, rtol=1e-4)
    assert np.any(first != detector.score(images, **ALL))
    assert np.any(first != detector.score(images, "will_it_move", samples=1, **ALL))  # of the adapted model too
    for one, other in zip(before, detector.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
