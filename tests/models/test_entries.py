"""Every way into a detector: the same images accepted, the same refused, before anything has changed."""

import pickle

import keras
import numpy as np
import pytest
from PIL import Image

from keras_ood.images import ImageWarning
from keras_ood.models import TiltedVAE

BATCH, COUNT = 8, 24
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8, 1), dtype=np.uint8)
LABELS = np.zeros(COUNT)


class Indexed(keras.utils.PyDataset):
    """Batches with labels."""

    def __init__(self, images):
        super().__init__()
        self.images = images

    def __len__(self):
        """Number of batches."""
        return len(self.images) // BATCH

    def __getitem__(self, index):
        """A batch by its number."""
        return self.images[BATCH * index :][:BATCH], LABELS[:BATCH]


class Loader:
    """Something that can be iterated over and over, as torch's DataLoader."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        """Number of batches."""
        return len(self.images) // BATCH

    def __iter__(self):
        """Go through the batches."""
        return batches(self.images)


def batches(images):
    """Cut images into batches."""
    return (images[start : start + BATCH] for start in range(0, len(images), BATCH))


STREAMS = {
    "generator": batches,
    "generator with labels": lambda images: ((batch, LABELS[:BATCH]) for batch in batches(images)),
    "generator of dictionaries": lambda images: ({"image": batch, "label": LABELS[:BATCH]} for batch in batches(images)),
    "generator with empty batches": lambda images: (part for batch in batches(images) for part in (batch[:0], batch)),
    "iterator": lambda images: iter(list(batches(images))),
    "PyDataset": Indexed,
    "loader": Loader,
}


def as_dataset(images):
    """Batches of a `tf.data.Dataset`, which JAX takes too."""
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((images, LABELS)).batch(BATCH)


STREAMS["tf.data"] = as_dataset
STREAMS["tf.data without labels"] = lambda images: as_dataset(images).map(lambda image, label: image)
STREAMS["tf.data of dictionaries"] = lambda images: as_dataset(images).map(lambda image, label: {"image": image})
IN_MEMORY = {
    "array": lambda images: images,
    "floats": lambda images: (images / 255).astype(np.float32),
    "tensor": keras.ops.convert_to_tensor,
    "list of images": list,
    "list of batches": lambda images: list(batches(images)),
    "dictionary": lambda images: {"images": images},
    "RGB": lambda images: images.repeat(3, axis=-1),
    "tuple of batches": lambda images: tuple(batches(images)),
    "images and labels": lambda images: (images, LABELS),
    "list of PIL images": lambda images: [Image.fromarray(image[..., 0]) for image in images],
}


@pytest.fixture(scope="module")
def detector():
    """Compiled for plain descent; tests put it back as it was."""
    keras.utils.set_random_seed(0)
    made = TiltedVAE((8, 8, 1), latent_dim=3, tilt=6.0)
    made.compile(keras.optimizers.SGD(1e-3))
    return made


def fitted(detector, source, **options):
    """The loss and the weights after a fit in order; the detector is put back as it was."""
    before = [variable.numpy() for variable in detector.variables]
    try:
        history = detector.fit(source, shuffle=False, batch_size=None if is_stream(source) else BATCH, verbose=0, **options)
        return history.history["loss"], detector.get_weights()
    finally:
        for variable, value in zip(detector.variables, before, strict=True):
            variable.assign(value)


def is_stream(source):
    return not isinstance(source, (list, dict, tuple)) and not hasattr(source, "dtype")


@pytest.fixture(scope="module")
def by_array(detector):
    """What two epochs of the plain array come to."""
    return fitted(detector, IMAGES, epochs=2), fitted(detector, IMAGES)


@pytest.mark.parametrize("name", STREAMS | IN_MEMORY)
def test_fit_of_every_source_is_that_of_the_array(detector, by_array, name):
    """Whatever holds the images, training on them in their order gives the weights that the array gives."""
    once = name.startswith(("generator", "iterator"))
    loss, weights = fitted(detector, (STREAMS | IN_MEMORY)[name](IMAGES), epochs=1 if once else 2)
    expected_loss, expected = by_array[once]
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-4)
    for value, wanted in zip(weights, expected, strict=True):
        np.testing.assert_allclose(value, wanted, atol=1e-4)


@pytest.mark.parametrize("name", STREAMS | IN_MEMORY)
def test_evaluate_and_predict_of_every_source(detector, name):
    """Keras' own `evaluate` gives the mean nll of the images, `predict` their statistics, whatever holds them."""
    made = STREAMS | IN_MEMORY
    statistics = detector.statistics(IMAGES, batch_size=BATCH)
    options = {"verbose": 0} | ({} if is_stream(made[name](IMAGES)) else {"batch_size": BATCH})
    found = detector.predict(made[name](IMAGES), **options)
    np.testing.assert_allclose(found["nll"], statistics["nll"], rtol=1e-4)
    loss = detector.evaluate(made[name](IMAGES), return_dict=True, **options)["loss"]
    np.testing.assert_allclose(loss, statistics["nll"].mean(), rtol=1e-4)


BAD = {
    "floats of 0..255": (IMAGES.astype(np.float32), "floats from 0 to 25[345]"),
    "int32": (IMAGES.astype(np.int32), "dtype int32"),
    "NaN": (np.full((COUNT, 8, 8, 1), np.nan, np.float32), f"{BATCH * 64} values that are NaN|{COUNT * 64} values"),
    "channels first": (np.moveaxis(IMAGES, -1, 1), "8 channels"),
}
ENTRIES = {
    "fit": lambda detector, images: detector.fit(images, batch_size=BATCH, verbose=0),
    "validation_data": lambda detector, images: detector.fit(
        IMAGES, validation_data=(images, LABELS), batch_size=BATCH, verbose=0
    ),
    "evaluate": lambda detector, images: detector.evaluate(images, batch_size=BATCH, verbose=0),
    "predict": lambda detector, images: detector.predict(images, batch_size=BATCH, verbose=0),
    "train_on_batch": lambda detector, images: detector.train_on_batch(images),
    "test_on_batch": lambda detector, images: detector.test_on_batch(images),
    "predict_on_batch": lambda detector, images: detector.predict_on_batch(images),
    "calling": lambda detector, images: detector(images),
    "calling a tensor": lambda detector, images: detector(keras.ops.convert_to_tensor(images)),
    "statistics": lambda detector, images: detector.statistics(images),
} | {
    f"fit of {name}": lambda detector, images, wrap=wrap: detector.fit(wrap(images), verbose=0)
    for name, wrap in STREAMS.items()
    if name != "generator of dictionaries"
}
ENTRIES["validation_data of batches"] = lambda detector, images: detector.fit(
    IMAGES, validation_data=Indexed(images), batch_size=BATCH, verbose=0
)


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_refuses_what_score_refuses(detector, entry, name):
    """Wrong range, dtype or layout: the words of `score`, no step done, and the calibration still there."""
    images, received = BAD[name]
    detector.calibrate(IMAGES, ["nll"], batch_size=BATCH)
    before = detector.get_weights()
    with pytest.raises(ValueError, match=f"Expected images .*Received: ({received})"):
        ENTRIES[entry](detector, images)
    if entry != "validation_data of batches":  # which come after the first epoch
        assert detector.calibrated_scores() == ["nll"]
        for value, wanted in zip(detector.get_weights(), before, strict=True):
            np.testing.assert_array_equal(value, wanted)
    detector.set_weights(before)


REFUSED = {
    "weights of samples": lambda detector: detector.fit(IMAGES, sample_weight=LABELS),
    "weights of classes": lambda detector: detector.fit(IMAGES, LABELS, class_weight={0: 2.0}),
    "weights in a tuple": lambda detector: detector.fit(IMAGES, validation_data=(IMAGES, LABELS, LABELS)),
    "weights in a batch": lambda detector: detector.fit(iter([(IMAGES, LABELS, LABELS)])),
    "weights in evaluate": lambda detector: detector.evaluate(IMAGES, sample_weight=LABELS),
    "weights of a batch": lambda detector: detector.train_on_batch(IMAGES, sample_weight=LABELS),
    "a loss": lambda detector: detector.compile("adam", loss="mse"),
    "metrics": lambda detector: detector.compile("adam", metrics=["mae"]),
    "a generator for two epochs": lambda detector: detector.fit(batches(IMAGES), epochs=2),
    "noise": lambda detector: detector.predict({"images": IMAGES, "noise": np.zeros((2, 3), np.float32)}),
    "a number": lambda detector: detector.fit(3),
    "nothing": lambda detector: detector.fit(),
    "batches that may or may not end": lambda detector: detector.fit(type("Some", (), {"__iter__": Loader.__iter__})()),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_detector_has_no_use_for_is_refused_at_once(detector, name):
    """Weights of samples or classes, another loss, metrics, a source that cannot be passed so often: an error, not silence."""
    with pytest.raises(ValueError, match="Received: "):
        REFUSED[name](detector)


def test_endless_sources_take_a_number_of_steps(detector):
    """A generator that goes on for ever is trained on for `steps_per_epoch`; an endless PyDataset is refused without."""

    def for_ever():
        while True:
            yield IMAGES[:BATCH]

    class Endless(Indexed):
        """No number of batches."""

        num_batches = None

    assert len(fitted(detector, for_ever(), epochs=3, steps_per_epoch=2)[0]) == 3
    with pytest.raises(ValueError, match=r"`steps_per_epoch`.*Received: Endless"):
        detector.fit(Endless(IMAGES))


@pytest.mark.once
def test_compiled_steps_see_no_resizing(images):
    """`jit_compile=True` trains on images of another size and kind: XLA, which cannot resize, only sees the detector's own."""
    keras.utils.set_random_seed(0)
    detector = TiltedVAE((8, 8, 1), latent_dim=3, tilt=6.0)
    detector.compile("sgd", jit_compile=True)
    history = detector.fit(images, batch_size=20, verbose=0).history
    assert np.isfinite(history["loss"][0])


@pytest.mark.parametrize(
    "call",
    [
        lambda detector: detector.score(IMAGES, batchsize=8),
        lambda detector: detector.p_values(IMAGES, batchsize=8),
        lambda detector: detector.calibrate(IMAGES, batchsize=8),
    ],
)
def test_options_that_there_are_not_are_named(detector, call):
    """A typing error in an option: the options there are, and the one that is close."""
    detector.calibrate(IMAGES, ["nll"], batch_size=BATCH)
    with pytest.raises(TypeError, match=r"Did you mean 'batch_size'.*Received: 'batchsize'"):
        call(detector)


@pytest.mark.parametrize("name", ["array", "PyDataset", "loader", "tf.data"])
def test_a_refused_first_fit_leaves_a_detector_that_can_be_trained(name):
    """The usual mistake, floats of 0..255, and then the right images: as if the first call had not been."""
    keras.utils.set_random_seed(0)
    detector, wrap = TiltedVAE((8, 8, 1), latent_dim=3, tilt=6.0), (STREAMS | IN_MEMORY)[name]
    with pytest.raises(ValueError, match="Hint: divide by 255"):
        detector.fit(wrap(IMAGES.astype(np.float32)), verbose=0)
    assert np.isfinite(detector.fit(wrap(IMAGES), verbose=0).history["loss"][0])


def test_compiled_detectors_are_trained_on_after_they_were_saved(detector, tmp_path):
    """Saved compiled and loaded, or copied by pickle: the optimizer is there and trains on."""
    fitted(detector, IMAGES)
    detector.save(tmp_path / "compiled.keras")
    for copy in (keras.saving.load_model(tmp_path / "compiled.keras"), pickle.loads(pickle.dumps(detector))):
        assert type(copy.optimizer) is keras.optimizers.SGD
        options = {"batch_size": BATCH, "verbose": 0}
        np.testing.assert_allclose(copy.evaluate(IMAGES, **options), detector.evaluate(IMAGES, **options), rtol=1e-5)
        assert np.isfinite(copy.fit(IMAGES, **options).history["loss"][0])


def test_a_detector_with_other_variables_is_compiled_anew(images):
    """A layer that gets further variables: the compiled pass gives what a call gives."""
    keras.utils.set_random_seed(0)
    detector = TiltedVAE((8, 8, 1), latent_dim=3, tilt=6.0)
    detector.score(IMAGES, batch_size=COUNT)
    detector.loc_head.enable_lora(2)
    detector.loc_head.lora_kernel_b.assign(np.ones(detector.loc_head.lora_kernel_b.shape))
    called = keras.ops.convert_to_numpy(detector(IMAGES)["nll"])
    np.testing.assert_allclose(detector.score(IMAGES, batch_size=COUNT), called, rtol=1e-4)


def test_masks_of_0_and_1_are_told(detector):
    """uint8 images whose largest value is 1 are nearly black; a warning says so, from every entry."""
    masks = IMAGES // 128
    for use in (detector.score, detector.predict, lambda images: detector.calibrate(images, ["nll"])):
        with pytest.warns(ImageWarning, match="largest value of .* is 1, where 255 is white"):
            use(masks)
