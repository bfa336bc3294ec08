"""A training that has gone wrong stops, and nothing is lost."""

import keras
import numpy as np
import pytest

from keras_ood.callbacks import nan_guard
from keras_ood.models import InFlow


class Poison(keras.callbacks.Callback):
    """Make one weight NaN after so many steps."""

    def __init__(self, after):
        super().__init__()
        self.left = after

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            weight = self.model.trainable_variables[0]
            weight.assign(np.nan * weight.numpy())


@pytest.mark.parametrize("family", ["TiltedVAE", "InFlow"])
def test_the_error_names_the_step_and_the_weights_are_finite(monkeypatch, fresh, images, family):
    """The step of the loss and the step of the weights put back are named; the model computes again."""
    monkeypatch.setattr(nan_guard, "SNAPSHOT_EVERY", 4)
    detector = fresh() if family == "TiltedVAE" else InFlow((4, 4, 1), depth=1)
    prepared = keras.ops.convert_to_numpy(detector.preprocessing(images))
    for after, kept in ((2, 0), (5, 4)):
        message = rf"weights of after step {kept} back.*Received: loss nan in epoch {after // 4 + 1}, .*\(step {after + 1}\)"
        with pytest.raises(FloatingPointError, match=message):
            detector.fit(prepared, epochs=3, batch_size=10, verbose=0, callbacks=[Poison(after)])
        assert np.all(np.isfinite(detector.score(images, batch_size=10)))
        detector.fit(prepared, epochs=1, batch_size=10, verbose=0)  # the optimizer's state is finite again too


def test_no_checkpoint_of_broken_weights(fresh, images, tmp_path):
    """Weights that break in the last step of an epoch are noticed before a checkpoint is written."""
    detector = fresh()
    prepared = keras.ops.convert_to_numpy(detector.preprocessing(images))
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "epoch.weights.h5", save_weights_only=True)
    broken = Poison(4)
    with pytest.raises(FloatingPointError, match=r"Received: weights that are not, after epoch 1 \(step 4\)"):
        detector.fit(prepared, epochs=1, batch_size=10, verbose=0, callbacks=[broken, checkpoint])
    assert not (tmp_path / "epoch.weights.h5").exists()
    assert np.all(np.isfinite(detector.score(images)))
