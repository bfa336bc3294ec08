"""From an encoder and one's own images to a preset: few, more, a folder of many sizes, a flow."""

import numpy as np
import pytest
from PIL import Image

import keras_ood
from keras_ood.encoders import FrozenEncoder
from keras_ood.hub import preset
from keras_ood.models import FeatureMixture, InFlow, TiltedVAE
from keras_ood.tables.records import read_records
from keras_ood.training.finetune import FEW
from keras_ood.training.settings import Settings
from keras_ood.training.start import ENCODER

pytestmark = pytest.mark.once_on_jax
QUICK = Settings(epochs=2)


@pytest.fixture(autouse=True)
def _folder(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_OOD_EMBEDDINGS", str(tmp_path / "embeddings"))


@pytest.fixture(scope="module")
def encoder():
    """The pinned network at a small size."""
    return FrozenEncoder(ENCODER, (32, 32, 3))


@pytest.mark.parametrize("images", [45, 120])
def test_folders_are_kept_together(digits, encoder, tmp_path, images):
    """A folder a photograph, three crops each: calibrated on whole others, and the card says how many there were."""
    for index in range(images):
        folder = tmp_path / "photos" / f"{index // 3:02}"
        folder.mkdir(parents=True, exist_ok=True)
        crop = Image.fromarray(np.roll(digits[0][index // 3, ..., 0], index % 3, axis=0))
        crop.resize((64, 64)).save(folder / f"{index % 3}.png")
    family = "FeatureMixture" if images == 45 else "TiltedVAE"
    detector = keras_ood.finetune(
        encoder, tmp_path / "photos", tmp_path / "mine", family=family, settings=QUICK, groups="folder", verbose=0
    )
    said = preset.read(tmp_path / "mine")["in_distribution"]
    assert said["groups"] == images // 3
    assert said["calibration_images"] == (45 if images == 45 else 42)  # forty, up to the end of a group
    assert f", in {images // 3} groups that were kept together; 0 " in (tmp_path / "mine" / "README.md").read_text()
    assert type(detector).__name__ == family
    assert len(detector.calibrated.maps) == (22 if images == 45 else 21)
    few = [str(tmp_path / "photos" / f"{folder:02}") for folder in range(12)]
    with pytest.raises(ValueError, match=r"at least 13 groups of them\. Received: 12"):
        keras_ood.finetune(encoder, few, tmp_path / "other", groups="folder", verbose=0)


@pytest.mark.slow
def test_a_folder_of_a_few_photos_becomes_a_preset(digits, encoder, tmp_path):
    """Files of several sizes, one of them twice; what is strange is told from them, and the card says what was chosen."""
    (tmp_path / "photos").mkdir()
    for index in range(36):
        image = Image.fromarray(digits[0][index % 35, ..., 0])
        image.resize((16 + index % 35, 20)).save(tmp_path / "photos" / f"{index:02}.png")
    strange = np.random.default_rng(0).integers(0, 256, (30, 24, 16, 3), dtype=np.uint8)
    detector = keras_ood.finetune(
        encoder, tmp_path / "photos", tmp_path / "mine", title="digits", out_of_distribution={"strange": strange}, verbose=0
    )
    assert isinstance(detector, FeatureMixture)
    loaded = keras_ood.from_pretrained(tmp_path / "mine")
    assert np.mean(loaded.detect(strange, fpr=0.05)) > 0.9
    content = preset.read(tmp_path / "mine")
    assert content["finetuned_from"] == ENCODER
    assert content["in_distribution"]["duplicates"] == 1
    assert len(loaded.calibration()) == 35
    assert content["false_positive_rate"]["images"] == 35
    assert not loaded.calibrated.has_maps  # of 40 images on
    assert content["choice"]["memory"] == int(
        max(content["choice"]["held_out_log_density"], key=content["choice"]["held_out_log_density"].get)
    )
    rows = read_records(tmp_path / "mine" / "results.csv")
    assert {row["weights"] for row in rows} == {"trained", "untrained"}
    assert float(content["auroc"]["strange"]) > 0.95
    card = (tmp_path / "mine" / "README.md").read_text()
    for words in ("made from `efficientnet-lite0`", "cross-conformal", "| centres | 1 | 2 | 4 |", "arXiv 1807.03888"):
        assert words in card
    assert "prediction\nflags" in card
    assert sorted(path.name for path in tmp_path.iterdir()) == ["embeddings", "mine", "photos"]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "images"), [(None, FEW), ("InFlow", 220)])
def test_more_images_are_trained_on(digits, encoder, tmp_path, family, images):
    """A tilted VAE from 500 images on; a flow where it is asked for, its gate fitted in the stages that it does not see."""
    own = np.concatenate([digits[0], digits[1]])[:images]
    detector = keras_ood.finetune(encoder, own, tmp_path / "mine", family=family, settings=QUICK, verbose=0)
    content = preset.read(tmp_path / "mine")
    assert isinstance(detector, InFlow if family else TiltedVAE)
    assert (detector.gate is not None) == bool(family)
    assert content["in_distribution"]["calibration_images"] == len(detector.calibration("nll")) * (2 if family else 1)
    noise = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1), dtype=np.uint8)
    assert np.mean(detector.detect(noise, fpr=0.05)) > 0.5
    assert {row["weights"] for row in read_records(tmp_path / "mine" / "results.csv")} == {"trained", "untrained"}
    assert len(list((tmp_path / "embeddings").glob("*.npy"))) >= 1


@pytest.mark.slow
def test_a_killed_training_over_an_encoder_goes_on(digits, encoder, tmp_path):
    """The state beside the folder is gone on with, and other images are refused."""
    import keras

    class Killed(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    options = {"family": "TiltedVAE", "settings": QUICK, "verbose": 0}
    with pytest.raises(KeyboardInterrupt):
        keras_ood.finetune(encoder, digits[0][:120], tmp_path / "mine", callbacks=[Killed()], **options)
    with pytest.raises(ValueError, match="images_and_weights"):
        keras_ood.finetune(encoder, 255 - digits[0][:120], tmp_path / "mine", **options)
    keras_ood.finetune(encoder, digits[0][:120], tmp_path / "mine", **options)
    assert preset.read(tmp_path / "mine")["training"]["epochs"] == 2
    assert not (tmp_path / "mine.training").exists()


def test_what_cannot_be_is_said_first(digits, encoder, fresh, tmp_path):
    for source, images, options, words in [
        (encoder, digits[0][:29], {}, "at least 30 different images. Received: 29"),
        (encoder, digits[0][:60], {"family": "TiltedVAE"}, "at least 100 different images. Received: 60"),
        (encoder, digits[0][:60], {"family": "tilted"}, "Received: 'tilted'"),
        (fresh(), digits[0][:120], {"family": "TiltedVAE"}, "a detector has its own"),
        (FeatureMixture((32, 32, 3), encoder), digits[0][:120], {}, "start from its encoder"),
    ]:
        with pytest.raises(ValueError, match=words):
            keras_ood.finetune(source, images, tmp_path / "mine", **options)
        assert not (tmp_path / "mine").exists()
