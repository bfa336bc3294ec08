"""Fine-tuning: from one's own images to a measured preset; killed and resumed."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import keras_ood
from keras_ood import datasets
from keras_ood.attention import PerImageGate
from keras_ood.callbacks.checkpoints import Checkpoints
from keras_ood.callbacks.early_stopping import EarlyStopping
from keras_ood.callbacks.log import TrainingLog
from keras_ood.datasets import SYNTHETIC
from keras_ood.encoders import trained_encoder
from keras_ood.hub import preset
from keras_ood.models import Ensemble, InFlow, TiltedVAE
from keras_ood.tables.records import read_records
from keras_ood.training.measuring import measured_sets, outside_sets
from keras_ood.training.resumable import train
from keras_ood.training.settings import Settings
from keras_ood.training.split import Split

MODEL = "tilted-vae-digits"
QUICK = Settings(epochs=2, batch_size=35)  # of 70 images: every further size is compiled anew


class Killed(keras.callbacks.Callback):
    """Die in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.fixture
def mine(digits):
    """Digits seen in a mirror: like what the preset knows, and not it."""
    return digits[0][:150, :, ::-1]


@pytest.mark.once_on_jax
def test_a_folder_of_photos_becomes_a_preset(mine, tmp_path):
    """Files of several sizes and kinds in; a calibrated, measured preset with a card out, and nothing beside it."""
    photos = tmp_path / "photos" / "deeper"
    photos.mkdir(parents=True)
    for index, image in enumerate(mine):
        size = (8 + index % 3, 9)
        Image.fromarray(image[..., 0]).convert("RGB" if index % 2 else "L").resize(size).save(photos / f"{index}.png")
    out = tmp_path / "mine"
    detector = keras_ood.finetune(
        MODEL,
        str(tmp_path / "photos"),
        out,
        settings=QUICK,
        title="digits in a mirror",
        licence="CC0",
        out_of_distribution=["digits", "noise"],
        verbose=0,
    )
    loaded = keras_ood.from_pretrained(out)
    np.testing.assert_allclose(loaded.p_values(mine), detector.p_values(mine))
    content = preset.read(out)
    assert content["finetuned_from"] == MODEL
    sizes = {f"{part}_images": size for part, size in [("training", 70), ("validation", 20), ("calibration", 40), ("test", 20)]}
    assert content["in_distribution"] == {"title": "digits in a mirror", "licence": "CC0", **sizes, "duplicates": 0}
    assert len(loaded.calibration("nll")) == 40
    assert content["training"]["epochs"] == 2
    records = read_records(out / "results.csv")
    assert {record["weights"] for record in records} == {"trained", "source", "untrained"}
    measured = [
        record["out_of_distribution"] for record in records if (record["weights"], record["method"]) == ("trained", "nll")
    ]
    assert measured == [*SYNTHETIC, "digits"]  # named or not, a synthetic set is measured once
    assert "digits" in content["auroc"]
    card = (out / "README.md").read_text()
    for words in ("digits in a mirror", f"made from `{MODEL}`", "untrained", "20 test images flagged", "training.png"):
        assert words in card
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "photos"]
    with pytest.raises(FileExistsError, match=r"absent or empty. Received: .*mine"):
        keras_ood.finetune(MODEL, mine, out)


@pytest.fixture
def parts(mine, fresh):
    """A small detector that takes the images as they are, and their split."""
    return fresh(), Split.of(mine / np.float32(255))


@pytest.mark.once_on_jax
def test_it_learns_and_scores_vary(parts, tmp_path):
    """The loss falls, every weight moves, the calibrated detector's scores differ between images."""
    detector, split = parts
    before = [weight.numpy() for weight in detector.trainable_weights]
    trained, log = train(detector, split, Settings(epochs=4, batch_size=14), tmp_path, verbose=0)
    losses = log.history()["val_loss"]
    assert losses[-1] < losses[0]
    assert all(np.any(weight.numpy() != old) for weight, old in zip(trained.trainable_weights, before, strict=True))
    trained.calibrate(split.calibration)
    assert np.std(trained.score(split.test)) > 0


@pytest.mark.once_on_jax
def test_the_weights_of_the_best_epoch_are_kept(parts, tmp_path):
    """What is returned has the lowest validation loss of the log, though later epochs were worse."""
    detector, split = parts
    worse = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: detector.loc_head.kernel.assign(0 * detector.loc_head.kernel) if epoch == 2 else None
    )
    trained, log = train(detector, split, Settings(epochs=3, batch_size=35), tmp_path, [worse], verbose=0)
    losses = log.history()["val_loss"]
    assert np.argmin(losses) == 1
    np.testing.assert_allclose(np.mean(trained.score(split.validation, "nll")), losses[1], rtol=1e-4)


def killed(monkeypatch, when):
    """Die at the second state: while its weights are written, before it is whole, or once it is."""
    counted = []
    target, name = {"weights": (TiltedVAE, "save_weights"), "rename": (Path, "rename"), "after": (shutil, "rmtree")}[when]
    original = getattr(target, name)

    def dying(*arguments, **options):
        if when != "after" or "epoch-" in str(arguments[0]):
            counted.append(arguments)
        if when == "weights" and len(counted) == 2:
            Path(arguments[1]).write_bytes(b"half of it")
        if len(counted) == (1 if when == "after" else 2):
            raise ArithmeticError("killed")
        return original(*arguments, **options)

    monkeypatch.setattr(target, name, dying)


@pytest.mark.once_on_jax
@pytest.mark.parametrize(("when", "left"), [("weights", 1), ("rename", 1), ("after", 2)])
def test_a_killed_training_goes_on(parts, fresh, tmp_path, monkeypatch, when, left):
    """Killed anywhere in the writing of a state, the same call does the other epochs alone; finished, it trains no more."""
    seen = []
    note = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))

    def run():
        keras.utils.set_random_seed(0)
        return train(fresh(), parts[1], Settings(epochs=3, batch_size=35), tmp_path, [note], verbose=0)

    with monkeypatch.context() as patch:
        killed(patch, when)
        with pytest.raises(ArithmeticError):
            run()
    seen.clear()
    once, log = run()
    assert seen == list(range(left, 3))
    assert [row["epoch"] for row in log.rows] == [1, 2, 3]
    again, log = run()
    assert (len(seen), len(log.rows)) == (3 - left, 3)
    for one, other in zip(once.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_early_stopping_remembers():
    """A training that goes on stops where an uninterrupted one would, and one that has stopped does not begin again."""
    log = TrainingLog()
    log.rows = [{"epoch": epoch, "seconds": 1.0, "loss": 1.0, "val_loss": float(epoch)} for epoch in (1, 2)]
    stopping = EarlyStopping(log, monitor="val_loss", patience=2)
    model = keras.Sequential()
    assert not stopping.reached(model)
    assert (stopping.wait, stopping.best) == (1, 1.0)
    stopping.on_epoch_end(2, {"val_loss": 3.0})
    assert model.stop_training
    log.rows.append({"epoch": 3, "seconds": 1.0, "loss": 1.0, "val_loss": 3.0})
    assert stopping.reached(model)


def test_a_nan_is_never_the_best(tmp_path):
    """Of the losses after a NaN the least is the best, to the log, the stopping and the states; NaN alone is an error."""
    log, model = TrainingLog(), keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    states, stopping = Checkpoints(tmp_path, log), EarlyStopping(log, monitor="val_loss", patience=2)
    states.set_model(model)
    stopping.set_model(model)
    stopping.on_train_begin()
    for epoch, loss in enumerate((np.nan, 3.0, np.nan, -np.inf)):
        if epoch == 1:
            with pytest.raises(FloatingPointError, match=r"least val_loss.*Received: \[nan\]"):
                states.load_best(model)
        log.rows.append({"epoch": epoch + 1, "seconds": 1.0, "loss": 1.0, "val_loss": float(loss)})
        model.layers[0].kernel.assign([[float(epoch)]])
        states.on_epoch_end(epoch)
        stopping.on_epoch_end(epoch, {"val_loss": loss})
    assert (log.best("val_loss"), stopping.best, stopping.stopped_epoch) == (2, 3.0, 3)
    states.load_best(model)
    assert model.layers[0].kernel.numpy() == 1


@pytest.mark.once_on_jax
def test_nothing_goes_on_with_another_training(fresh, mine, tmp_path):
    """Other settings or images: an error that names the folder; the training on disk stays."""
    source = fresh()
    with pytest.raises(KeyboardInterrupt):
        keras_ood.finetune(source, mine, tmp_path / "out", settings=QUICK, callbacks=[Killed(1)], verbose=0)
    with pytest.raises(ValueError, match=r"remove .*out.training to begin anew. Received: another value for \['batch_size'\]"):
        keras_ood.finetune(source, mine, tmp_path / "out", settings=Settings(epochs=2, batch_size=16))
    with pytest.raises(ValueError, match="images_and_weights"):
        keras_ood.finetune(source, 255 - mine, tmp_path / "out", settings=QUICK)
    assert list((tmp_path / "out.training" / "epochs").iterdir())


@pytest.mark.once_on_jax
def test_a_frozen_encoder_stays(parts, tmp_path):
    """The encoder's weights are the source's, the decoder's are not; what comes out can be trained whole again."""
    detector, split = parts
    before = [network.get_weights() for network in (detector.encoder, detector.decoder)]
    trained, _ = train(detector, split, Settings(epochs=1, batch_size=35, freeze_encoder=True), tmp_path, verbose=0)
    for one, other in zip(trained.encoder.get_weights(), before[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert all(np.any(one != other) for one, other in zip(trained.decoder.get_weights(), before[1], strict=True))
    assert len(trained.trainable_weights) == len(trained.weights)


@pytest.mark.once
def test_another_input(mine, tmp_path):
    """Another size and RGB: the card says what was reused, and no source stands beside a network that it cannot be."""
    keras_ood.finetune(MODEL, mine, tmp_path / "out", settings=QUICK, image_shape=(24, 24, 3), verbose=0)
    content = preset.read(tmp_path / "out")
    assert content["input_shape"] == [24, 24, 3]
    for words in ("of the parameters reused", "converted: ", "fresh: "):
        assert words in content["transfer"]
    assert {record["weights"] for record in read_records(tmp_path / "out" / "results.csv")} == {"trained", "untrained"}


@pytest.mark.once
def test_an_inflow_gets_a_gate_of_its_own(digits, pretrained, tmp_path):
    """The gate is fitted to the new images: it alarms on as many of them as it promises, not on nearly all."""
    gate = PerImageGate.from_images(trained_encoder(pretrained), digits[0][:400], digits[0][400:500], components=8)
    source = InFlow((8, 8, 1), depth=1).with_attention(gate)
    source.calibrate(digits[0][500:600])
    mine = 255 - digits[0][:300]
    assert np.mean(source.statistics(mine)["attention_p_value"] < 0.05) > 0.9
    detector = keras_ood.finetune(source, mine, tmp_path / "out", settings=Settings(epochs=1, batch_size=60), verbose=0)
    fresh = 255 - digits[1]
    assert np.mean(detector.statistics(fresh)["attention_p_value"] < 0.05) < 0.2
    assert detector.attention.held_out == 60
    assert len(detector.calibration("nll")) == 60
    with pytest.raises(ValueError, match=r"`freeze_encoder` takes .*Received: InFlow"):
        keras_ood.finetune(source, mine, tmp_path / "other", settings=Settings(freeze_encoder=True))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_split_shares_no_image():
    """Four parts, nothing twice, the same every time; sizes as documented."""
    images = np.random.default_rng(0).random((1000, 2, 2, 1))
    split = Split.of(np.concatenate([images, images[:50]]), seed=3)
    parts = [split.training, split.validation, split.calibration, split.test]
    assert [len(part) for part in parts] == [600, 100, 200, 100]
    assert split.duplicates == 50
    assert len(np.unique(np.concatenate(parts).reshape(1000, -1), axis=0)) == 1000
    np.testing.assert_array_equal(Split.of(images, seed=3).test, split.test)
    assert np.any(Split.of(images, seed=4).test != split.test)
    with pytest.raises(ValueError, match=r"at least 100 different images. Received: 99, of 198"):
        Split.of(np.concatenate([images[:99]] * 2))


def test_a_split_keeps_groups_together():
    """No group is in two parts, parts are about as large as without groups, the same every time; duplicates count once."""
    rng = np.random.default_rng(0)
    images, groups = rng.random((1000, 2, 2, 1)), rng.integers(0, 40, 1000)
    images[-10:], groups[-10:] = images[:10], groups[:10]
    numbers = {image.tobytes(): group for image, group in zip(images, groups, strict=True)}
    split = Split.of(images, seed=3, groups=groups)
    parts = [split.training, split.validation, split.calibration, split.test]
    held = [{numbers[image.tobytes()] for image in part} for part in parts]
    assert len(set.union(*held)) == sum(map(len, held)) == 40
    assert sum(map(len, parts)) == 990
    for part, size in zip(parts, (590, 100, 200, 100), strict=True):
        assert abs(len(part) - size) < 80
    np.testing.assert_array_equal(images[split.test_places], split.test)
    np.testing.assert_array_equal(images[split.calibration_places], split.calibration)
    np.testing.assert_array_equal(Split.of(images, seed=3, groups=groups).test, split.test)
    with pytest.raises(ValueError, match=r"more groups, or smaller ones\. Received: 3 groups of 3"):
        Split.of(images, groups=np.arange(1000) // 334)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"epochs": 0}, {"patience": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"seed": -1}, {"seed": 2**32}),
        *({"epochs": "3"}, {"epochs": True}, {"epochs": 2.0}, {"learning_rate": "0.1"}, {"learning_rate": float("nan")}),
        *({"freeze_encoder": "no"}, {"patience": None}),
    ],
)
def test_settings_that_cannot_be(wrong):
    """Refused before any image is read."""
    with pytest.raises(ValueError, match=r"must be positive.*Received"):
        Settings(**wrong)


def test_fit_takes_a_folder(fresh, digits, tmp_path):
    """The lines beneath: `fit` on a folder with Keras' callbacks."""
    for index in range(30):
        Image.fromarray(digits[0][index, ..., 0]).save(tmp_path / f"{index}.png")
    stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=1)
    history = fresh().fit(str(tmp_path), epochs=2, validation_split=0.2, callbacks=[stopping], verbose=0)
    assert {"loss", "val_loss", "nll", "val_nll"} <= set(history.history)


def test_a_log_is_a_table_and_a_picture(tmp_path):
    """A row an epoch, plain numbers, and the curves beside it."""
    log = TrainingLog(tmp_path / "log.csv")
    for epoch in (0, 1):
        log.on_epoch_begin(epoch)
        log.on_epoch_end(epoch, {"loss": np.float32(epoch), "val_loss": 2.0})
    log.on_train_end()
    assert [row["val_loss"] for row in read_records(tmp_path / "log.csv")] == ["2.0", "2.0"]
    assert log.history() == {"loss": [0.0, 1.0], "val_loss": [2.0, 2.0]}
    assert (tmp_path / "log.png").stat().st_size > 1000
    assert json.dumps(log.rows)


def test_what_cannot_be_finished_is_not_begun(fresh, mine, pretrained, tmp_path):
    """A folder with something in it, a score that would be lost, an ensemble, a shape that is none: nothing is left behind."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "photo.png").touch()
    compared = fresh(default_score="likelihood_ratio", background=fresh())
    for source, folder, options, words in [
        (pretrained, "full", {}, "absent or empty. Received"),
        (pretrained, "full/photo.png/out", {}, "can be written. Received"),
        (compared, "out", {}, "Received: 'likelihood_ratio'"),
        (Ensemble([fresh(), fresh()]), "out", {}, "Received"),
        (pretrained, "out", {"image_shape": (64, 64)}, "Received: "),
        (pretrained, "out", {"out_of_distribution": {"mine": "no such folder"}}, "Received: 'no such folder'"),
        (pretrained, "out", {"out_of_distribution": {"noise": mine}}, r"measured anyway.*Received: \['noise'\]"),
        (pretrained, "out", {"out_of_distribution": {"in_distribution": mine}}, r"Received: \['in_distribution'\]"),
        (pretrained, "out", {"out_of_distribution": {"mine": mine / 2}}, "Received: floats"),
        (pretrained, "out", {"out_of_distribution": {"mine": iter([])}}, "yields no image"),
    ]:
        with pytest.raises((ValueError, OSError), match=words):
            keras_ood.finetune(source, mine, tmp_path / folder, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


@pytest.mark.once
def test_a_unit_test_set_is_made_from_the_test_images(pretrained, digits):
    """Named as a set to measure on, it waits for the images whose shape it takes."""
    sets = outside_sets("blobs", pretrained.entrance)
    assert sets == {"blobs": "blobs"}
    made = measured_sets(digits[1][:20] / 255, sets, pretrained.entrance)
    np.testing.assert_array_equal(made["blobs"], datasets.synthesize("blobs", digits[1][:20]))
