"""From a recipe to a preset, with one call; killed and resumed."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import keras_ood
from keras_ood.callbacks.nan_guard import NaNGuard
from keras_ood.evaluation.studies import set_level
from keras_ood.models import trainable
from keras_ood.recipes.recipe import Recipe
from keras_ood.tables.records import read_records
from keras_ood.training import from_recipe
from keras_ood.training.train_seed import train_seed

RECIPE = """
family = "TiltedVAE"
model = { image_shape = [8, 8, 1], latent_dim = 3, tilt = 6.0 }
dataset = "digits"
calibration_size = 285
epochs = 2
batch_size = 64
learning_rate = 1e-3
seeds = [0, 1]
out_of_distribution = ["noise", "inverted"]
"""


@pytest.fixture
def recipe_path(tmp_path) -> Path:
    path = tmp_path / "tiny" / "recipe.toml"
    path.parent.mkdir()
    path.write_text(RECIPE)
    return path


@pytest.mark.once
def test_a_recipe_becomes_a_preset(recipe_path, tmp_path, digits):
    """One call writes a folder that loads, is calibrated, has a card, and rows for every seed, trained and not."""
    folder = from_recipe.train(recipe_path, tmp_path / "runs", verbose=0)
    detector = keras_ood.from_pretrained(folder)
    assert detector.default_score == "density_of_states"
    assert (len(detector.calibration("nll")), len(detector.calibration())) == (285, 142)
    assert np.all(np.isfinite(detector.score(digits[1])))
    content = json.loads((folder / "preset.json").read_text())
    assert content["training"]["training_images"] == 1152
    assert content["training"]["epochs"] == 2
    assert content["training"]["seconds"] > 0
    assert content["in_distribution"]["test_images"] == 360
    records = read_records(folder / "results.csv")
    assert len(records) == 2 * 2 * 2 * len(detector.ready_scores())  # weights, seeds, sets
    assert {record["method"] for record in records} == set(detector.ready_scores())
    assert "untrained" in (folder / "README.md").read_text()


ENCODER = 'encoder = { network = "efficientnet-lite0", image_shape = [32, 32, 3], stages = [0, 1], memory = 20 }'


BESIDE = """
[beside.gaussian]
tilt = 0.0
[beside."untrained encoder"]
encoder = { network = "efficientnet-lite0-untrained", image_shape = [32, 32, 3], memory = 20 }
[beside."self-supervised encoder"]
encoder = { image_shape = [8, 8, 1], memory = 20, self_supervised = { epochs = 2, learning_rate = 1e-2, widths = [16, 32] } }
"""


@pytest.mark.once
def test_a_recipe_over_an_encoder_with_others_beside(recipe_path, tmp_path):
    """The preset knows its encoder by name and digest; others beside are rows, and the card says what each saw."""
    recipe_path.write_text(RECIPE.replace("[0, 1]", "[0]") + ENCODER + BESIDE)
    folder = from_recipe.train(recipe_path, tmp_path / "runs", verbose=0)
    detector = keras_ood.from_pretrained(folder)
    assert detector.default_score == "fusion"
    titles = {"gaussian", "untrained encoder", "self-supervised encoder"}
    rows = [row for row in read_records(folder / "results.csv") if row["method"] == "mahalanobis"]
    assert {row["weights"] for row in rows} == titles | {"trained", "untrained"}
    auroc = {row["weights"]: row["auroc"] for row in rows if row["out_of_distribution"] == "inverted"}
    assert auroc["gaussian"] == auroc["untrained"]  # the encoder alone
    content = json.loads((folder / "preset.json").read_text())
    assert content["encoder"] == detector.feature_space.encoder.provenance()
    assert len({encoder["digest"] for encoder in (content["encoder"], *content["encoders_beside"].values())}) == 3
    assert {title: encoder["trained_on"] for title, encoder in content["encoders_beside"].items()} == {
        "untrained encoder": "nothing",
        "self-supervised encoder": "scikit-learn digits's training images, without labels",
    }
    training = content["encoders_beside"]["self-supervised encoder"]["training"]
    assert training["epochs"] == 2
    assert "Keras" in training["machine"]
    card = (folder / "README.md").read_text()
    assert "**Encoder: EfficientNet-Lite0, trained on ImageNet with labels**" in card
    assert 'The encoder of the columns "self-supervised encoder": 2 epochs,' in card
    assert training["machine"] in card
    heading = next(line for line in card.splitlines() if line.startswith("| OOD set | score"))
    for part in (
        "tiny (EfficientNet-Lite0, trained on ImageNet with labels)",
        "tiny, untrained encoder (untrained EfficientNet-Lite0, trained on nothing)",
        "tiny, self-supervised encoder (residual network, trained on scikit-learn digits's training images, without labels)",
    ):
        assert f"| {part} |" in heading
    assert (tmp_path / "runs/tiny-self-supervised-encoder/encoder/encoder.keras").exists()


@pytest.mark.once
def test_an_inflow_over_an_encoder(recipe_path, tmp_path):
    """Its gate sees the stages that the flow does not, and the flow without it stands beside."""
    flow = RECIPE.replace('"TiltedVAE"', '"InFlow"').replace("latent_dim = 3, tilt = 6.0", "depth = 1").replace("[0, 1]", "[0]")
    recipe_path.write_text(flow + ENCODER.replace("memory", "looked_at = [1], memory"))
    attended = tmp_path / "attended" / "recipe.toml"
    attended.parent.mkdir()
    attended.write_text('base = "tiny"\nattention = { held_out = 100, components = 16 }')
    folder = from_recipe.train(attended, tmp_path / "runs", verbose=0)
    detector = keras_ood.from_pretrained(folder)
    assert (detector.feature_space.width, detector.gate.feature_count) == (112, 40)
    assert {row["weights"] for row in read_records(folder / "results.csv")} == {"trained", "untrained", "ungated"}
    assert "The encoder's stages that the flow does not see" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("further", "message"),
    [
        ("encoder = { image_shape = [32, 32, 3] }", "names a `network`"),
        ("encoder = { image_shape = [8, 8, 1], self_supervised = { epochs = 1 } }", "has a name, by which others find it"),
        (ENCODER + "\nbeside = { other = { encoder = { memory = 2 } } }", "names a `network`"),
        ('beside = { other = { encoder = { network = "efficientnet-lite0" } } }', "where the recipe has one"),
        (f"{ENCODER}\nbeside = {{ other = {{ encoder = 5 }} }}", "must be a table"),
        (f"{ENCODER}\nbeside = {{ other = {{ encoder = {{ self_supervised = {{ epochs = 1 }} }} }} }}", "an `image_shape`"),
        ('beside = { "../x" = { tilt = 0.0 } }', "of small letters and digits"),
        ('beside = { "a b" = { tilt = 0.0 }, "a-b" = { tilt = 0.0 } }', "titles of their own"),
        ("beside = { x = { tilt = 0.0 } }\nbackground = { perturbed = 0.5, epochs = 1 }", "neither gate nor background"),
        ('encoder = { network = "efficientnet-lite0", memory = 0 }', "names a `network`"),
        ('encoder = { network = "efficientnet-lite1" }', "Did you mean 'efficientnet-lite0'"),
        (f'{ENCODER}\nstudies = ["sample_quality"]', "those are of pixels"),
        ("beside = { trained = { tilt = 0.0 } }", "others than those"),
    ],
)
def test_recipes_over_encoders_that_cannot_be(recipe_path, further, message):
    recipe_path.write_text(RECIPE + further)
    with pytest.raises(ValueError, match=message):
        Recipe.read(recipe_path).build()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("tlt = 0.0", "`model` takes"),
        ('encoder = { network = "efficientnet-lite1" }', "Did you mean 'efficientnet-lite0'"),
        ("encoder = { image_shape = [8, 16, 1], self_supervised = { epochs = 1 } }", "square"),
    ],
)
def test_what_cannot_stand_beside_is_refused_before_anything_is_trained(recipe_path, tmp_path, other, message):
    recipe_path.write_text(f"{RECIPE}{ENCODER}\n[beside.other]\n{other}\n")
    with pytest.raises(ValueError, match=message):
        from_recipe.train(recipe_path, tmp_path / "runs")
    assert not list((tmp_path / "runs").iterdir())


@pytest.mark.once
def test_a_background_model_is_trained_on_perturbed_images(recipe_path, tmp_path):
    """It travels with the preset, is another network than the detector, and its training is on record; studies are too."""
    recipe_path.write_text(
        RECIPE.replace("[0, 1]", "[0]") + 'background = { perturbed = 0.5, epochs = 1 }\nstudies = ["sample_quality"]\n'
    )
    recipe = Recipe.read(recipe_path)
    background = recipe.background_recipe()
    changed = np.mean(background.images_to_train_on() != recipe.images_to_train_on())
    assert abs(changed - 0.5) < 0.05
    assert recipe.digest != background.digest
    folder = from_recipe.train(recipe_path, tmp_path / "runs", verbose=0)
    detector = keras_ood.from_pretrained(folder)
    assert len(detector.calibration("likelihood_ratio")) == 285
    images = np.full((1, 8, 8, 1), 99, np.uint8)
    assert detector.background.score(images, "nll") != detector.score(images, "nll")
    content = json.loads((folder / "preset.json").read_text())
    assert content["background"]["epochs"] == 1
    assert content["parameters"] == sum(int(np.prod(weight.shape)) for weight in detector.trainable_weights)
    assert (folder / "samples.png").stat().st_size > 1000
    text = (folder / "README.md").read_text()
    for words in ("**Background model**", "### Samples", "Frechet distance"):
        assert words in text


def test_only_what_decides_the_weights_is_in_the_digest(recipe_path):
    """Other sets to evaluate on, studies and seeds need no new training; another learning rate does."""
    digest = Recipe.read(recipe_path).digest
    recipe_path.write_text(RECIPE.replace('"inverted"', '"constant"').replace("[0, 1]", "[0]"))
    assert Recipe.read(recipe_path).digest == digest
    recipe_path.write_text(RECIPE.replace("1e-3", "2e-3"))
    assert Recipe.read(recipe_path).digest != digest


def test_finished_seeds_are_not_trained_again(recipe_path, tmp_path):
    """The second call reads the same weights back, in float32 whatever they were trained in; a changed recipe refuses them."""
    recipe_path.write_text(f'{RECIPE}dtype_policy = "mixed_bfloat16"\n')
    recipe = Recipe.read(recipe_path)
    first = train_seed(recipe, 0, tmp_path / "run", verbose=0)
    again = train_seed(recipe, 0, tmp_path / "run", verbose=0)
    assert not again.compiled
    assert {first.dtype_policy.name, again.decoder.layers[-1].compute_dtype} == {"float32"}
    for one, other in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    recipe_path.write_text(RECIPE.replace("epochs = 2", "epochs = 3"))
    with pytest.raises(ValueError, match=r"Received: .*of another recipe"):
        train_seed(Recipe.read(recipe_path), 0, tmp_path / "run", verbose=0)


@pytest.mark.once
def test_an_inflow_builds_upon_a_flow(recipe_path, tmp_path, monkeypatch):
    """A recipe with a base trains the base, fits a gate to it, and reports gate, density and sets."""
    monkeypatch.setattr(set_level, "SetLevel", partial(set_level.SetLevel, sets=3))
    flow = (
        RECIPE.replace('"TiltedVAE"', '"InFlow"').replace("latent_dim = 3, tilt = 6.0", "depth = 1").replace("8, 8", "28, 28")
    )
    flow = (
        flow.replace("= 285", "= 400").replace("[0, 1]", "[0]").replace("epochs = 2", "epochs = 1").replace(', "inverted"', "")
    )
    recipe_path.write_text(flow)
    attended = tmp_path / "attended" / "recipe.toml"
    attended.parent.mkdir()
    attended.write_text(
        """
        base = "tiny"
        attention = { encoder = "tilted-vae-digits", held_out = 200, components = 16 }
        studies = ["set_level"]
        """
    )
    recipe = Recipe.read(attended)
    assert recipe.digest != recipe.base.digest
    assert len(recipe.training_split()[1]) == 200
    folder = from_recipe.train(attended, tmp_path / "runs", verbose=0)
    loaded = keras_ood.from_pretrained(folder)
    trained = train_seed(recipe.base, 0, tmp_path / "runs" / "tiny" / "seed-0")
    for one, other in zip(loaded.flow.get_weights(), trained.flow.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    content = json.loads((folder / "preset.json").read_text())
    assert content["in_distribution"]["calibration_images"] == len(loaded.calibration("mahalanobis")) == 200
    for law in ("binomial", "beta_binomial"):
        assert content["gate"][law][0] < content["gate"]["alpha"] < content["gate"][law][1]
    assert len(content["attention"]["encoder_sha256"]) == 64
    assert 0 < content["bits_per_dimension"] < 10
    assert {row["drawn"] for row in read_records(folder / "set_level.csv")} == {"mixed", "class-pure"}
    text = (folder / "README.md").read_text()
    assert "Sets of images (not comparable" in text
    assert "arXiv 2106.12894" in text
    untrained = [recipe.gate(trained=False).encoder.get_weights() for _ in range(2)]
    np.testing.assert_array_equal(*(weights[0] for weights in untrained))
    attended.write_text(attended.read_text().replace("tilted-vae-digits", "tilted-vae-mnist-pixels"))
    with pytest.raises(ValueError, match=r"same images of digits.*Received: 'tilted-vae-mnist-pixels'"):
        Recipe.read(attended).gate(trained=True)


def test_a_killed_training_goes_on_where_it_was(recipe_path, tmp_path, monkeypatch):
    """Stopped in the second epoch, the next call trains that epoch alone."""
    recipe = Recipe.read(recipe_path)
    epochs = []

    class KilledError(Exception):
        pass

    class Kill(NaNGuard):
        def on_epoch_begin(self, epoch, logs=None):
            epochs.append(epoch)
            if epochs == [0, 1]:
                raise KilledError

    monkeypatch.setattr(trainable, "NaNGuard", Kill)
    with pytest.raises(KilledError):
        train_seed(recipe, 0, tmp_path / "run", verbose=0)
    train_seed(recipe, 0, tmp_path / "run", verbose=0)
    assert epochs == [0, 1, 1]
    assert (tmp_path / "run" / "training.json").exists()


def test_a_loss_that_is_not_finite_stops_training(recipe_path, tmp_path):
    """A learning rate far too large: an error, and nothing that passes for a finished training."""
    recipe = Recipe.read(recipe_path)
    object.__setattr__(recipe, "learning_rate", 1e30)  # none that a recipe may have
    with pytest.raises(FloatingPointError, match=r"Received: loss (nan|inf)"):
        train_seed(recipe, 0, tmp_path / "run", verbose=0)
    assert not (tmp_path / "run" / "training.json").exists()


def test_calibration_images_are_never_trained_on(recipe_path):
    """The two parts of the training split share no image of it and leave none out."""
    images, calibration = Recipe.read(recipe_path).training_split()
    everything = np.concatenate([images, calibration])
    expected = keras_ood.datasets.load("digits", "train")[0]
    assert len(everything) == len(expected)
    np.testing.assert_array_equal(
        np.sort(everything.reshape(len(expected), -1), axis=0), np.sort(expected.reshape(len(expected), -1), axis=0)
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 2", "epoch = 2", "keys .*Received: .*'epoch'"),
        ('"TiltedVAE"', '"VAE"', r"\['InFlow', 'TiltedVAE'\]. Received: 'VAE'"),
        ("epochs = 2", "epochs = ", "Received: "),
        ("epochs = 2", 'epochs = "2"', "`epochs` must be a positive whole number. Received: '2' in .*recipe.toml"),
        ("epochs = 2", "epochs = true", "Received: True"),
        ("epochs = 2", "epochs = 2.0", "Received: 2.0"),
        ("batch_size = 64", "batch_size = 0", "`batch_size` .*Received: 0"),
        ("= 1e-3", "= nan", "`learning_rate` .*Received: nan"),
        ("= 1e-3", "= -1e-3", "`learning_rate` .*Received: -0.001"),
        ("= 1e-3", "= 30", "`learning_rate` .*Received: 30"),
        ("= 285", "= 39", "at least 40. Received: 39"),
        ("[0, 1]", "[]", "at least one. Received: \\[\\]"),
        ("[0, 1]", "[0, 0]", "different whole numbers.*Received: \\[0, 0\\]"),
        ("[0, 1]", "[-1]", "Received: \\[-1\\]"),
        ("[0, 1]", "[true]", "Received: \\[True\\]"),
        ("[0, 1]", "3", "`seeds` .*Received: 3"),
        ('"digits"', '"digit"', "Did you mean 'digits'.*Received: 'digit'"),
        ('["noise", "inverted"]', '["nois"]', "Did you mean 'noise'.*Received: \\['nois'\\]"),
        ('["noise", "inverted"]', "[]", "`out_of_distribution` .*at least one"),
        ('["noise", "inverted"]', '["noise", "noise"]', "different names"),
        ("seeds", 'dtype_policy = "float8"\nseeds', "mixed_bfloat16.*Received: 'float8'"),
        ("seeds", "perturbed = 1.5\nseeds", "`perturbed` .*Received: 1.5"),
        ("seeds", 'studies = "sample_quality"\nseeds', "`studies` .*Received: 'sample_quality'"),
        ("seeds", 'attention = "soft"\nseeds', "`attention` must be a table"),
        ("seeds", 'attention = { encoder = "x", held_out = 20 }\nseeds', "belongs to an InFlow"),
        ("seeds", 'attention = { encoder = "x", held_out = 20, beta = 1 }\nseeds', "may have .*'beta'"),
        ("seeds", 'background = { perturbed = "0.5", epochs = 1 }\nseeds', "`background` has"),
        ("seeds", "background = { perturbed = 0.5, epochs = 0 }\nseeds", "`background` has"),
    ],
)
def test_bad_recipes(recipe_path, old, new, message):
    """A wrong key, value or syntax is named, with the file."""
    recipe_path.write_text(RECIPE.replace(old, new))
    with pytest.raises(ValueError, match=message):
        Recipe.read(recipe_path)


@pytest.mark.parametrize("base", ["tiny", "other", "../zoo/other", "/etc", 3])
def test_a_base_has_no_base(recipe_path, base):
    """Neither a recipe that builds upon itself nor a chain of them is followed."""
    recipe_path.write_text(f"base = {base!r}")
    other = recipe_path.parents[1] / "other" / "recipe.toml"
    other.parent.mkdir()
    other.write_text('base = "tiny"')
    with pytest.raises(ValueError, match=r"has no base\. Received: "):
        Recipe.read(recipe_path)


FLOW = {'"TiltedVAE"': '"InFlow"', "latent_dim = 3, tilt = 6.0": "depth = 1"}


@pytest.mark.once
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tilt = 6.0": "tlit = 6.0"}, "'latent_dim', 'tilt'.*Received: .*'tlit'"),
        ({"tilt = 6.0": 'tilt = "a lot"'}, "`model` takes "),
        ({"8, 8, 1": "8, 8, 3"}, "the 1 channels of digits"),
        ({"8, 8, 1": "8, 8"}, "`model` takes .*image_shape"),
        ({"= 285": "= 1437"}, "digits to train on, which has 1437. Received: 1437"),
        ({"tilt = 6.0": 'tilt = 6.0, default_score = "iwae"'}, "calibrated unasked.*Received: 'iwae'"),
        ({"tilt = 6.0": 'tilt = 6.0, default_score = "likelihood_ratio"'}, "Received: 'likelihood_ratio'"),
        ({"tilt = 6.0": 'tilt = 6.0, default_score = "nlll"'}, "Did you mean 'nll'"),
        ({"seeds": 'studies = ["sampling"]\nseeds'}, "'sample_quality'.*Received: \\['sampling'\\]"),
        ({"seeds": 'studies = ["adversarial"]\nseeds'}, "per-image gate. Received: TiltedVAE"),
        (FLOW | {"seeds": 'studies = ["set_level"]\nseeds'}, "per-image gate. Received: InFlow"),
        (FLOW | {"seeds": 'studies = ["sample_quality"]\nseeds'}, "a TiltedVAE. Received: InFlow"),
    ],
)
def test_what_cannot_be_finished_is_not_begun(recipe_path, tmp_path, changes, message):
    """What could not be built, calibrated or studied in the end is refused before anything is trained."""
    text = RECIPE
    for old, new in changes.items():
        text = text.replace(old, new)
    recipe_path.write_text(text)
    with pytest.raises(ValueError, match=message):
        from_recipe.train(recipe_path, tmp_path / "runs")
    assert not list((tmp_path / "runs").iterdir())
    assert [path.name for path in recipe_path.parent.iterdir()] == ["recipe.toml"]


@pytest.mark.once
def test_a_folder_that_cannot_be_written_is_refused(recipe_path, tmp_path):
    """Asked before anything is trained."""
    with pytest.raises(OSError, match=r"can be written\. Received: .*recipe\.toml"):
        from_recipe.train(recipe_path, recipe_path / "runs")
