"""What moves when the model is drawn towards another prior."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ood.scores.score import Arrays, Score, Tensors

STEPS, LEARNING_RATE, PULL = 5, 5e-5, 0.1


class WillItMove(Score):
    """The nll in nats under weights adapted to the batch under test: transductive, no p-value.

    Five steps of Adam on `mean nll(samples) + 0.1 mean_x (reconstruction(x) + |loc(x)|^2 / 2)`: the model keeps its hold on
    images it knows, while the batch is drawn from the tilted prior's shell towards a standard Gaussian. In-distribution images
    resist, others move off the shell. Weights start anew with every batch; the images that hold are the model's own samples, as
    a preset carries no training images. After Floto, Kremer, Nica, ICLR 2023, whose released script adapts to a whole data set
    and is a sketch. It sees batches: an image's score depends on the company it is tested in, and comparing one kind's batches
    with another's favours it over every per-image score. For tilted VAEs. Cost: 5 training steps a batch, on it and on as many
    samples, and two passes.
    """

    name = "will_it_move"
    cost = "2 passes + 5 training steps a batch"
    needs = ("reconstruction", "shell_distance")
    measures = ("will_it_move",)
    calls = ("sample", "tilt")
    cheap = False
    transductive = True

    def serves(self, detector: Any) -> bool:
        """Return whether the detector's prior is tilted, a Gaussian VAE has nowhere to move, and it draws images."""
        return super().serves(detector) and bool(detector.tilt > 0) and detector.feature_space is None

    def measure(self, detector: Any, images: np.ndarray, samples: int | None = None, seed: int = 0) -> dict[str, np.ndarray]:
        """Return `will_it_move`, the nll in nats after the adaptation."""
        adaptation = detector.statistics_pass.compiled_function("will_it_move", lambda: _Adaptation(detector.inference_copy()))
        return {"will_it_move": adaptation.adapted_nll(detector, images, samples, seed)}

    def formula(self, statistics: Tensors, fitted: Arrays, xp: Any) -> Any:
        """Return the adapted nll."""
        return statistics["will_it_move"]


class _Adaptation(keras.Model):  # type: ignore[misc]
    """The loss of one adaptation, around the detector that it changes."""

    def __init__(self, detector: Any) -> None:
        super().__init__(name="adaptation")
        self.detector = detector
        self.built = True
        self.compile(keras.optimizers.Adam(LEARNING_RATE))
        self.optimizer.build(self.trainable_variables)
        self._fresh_optimizer = [variable.numpy() for variable in self.optimizer.variables]

    def adapted_nll(self, original: Any, images: np.ndarray, samples: int | None, seed: int) -> np.ndarray:
        """Return the nll of a batch, `(batch,)`, after an adaptation that starts from `original`; see `Score.measure`."""
        self.detector.set_weights(original.get_weights())
        for variable, value in zip(self.optimizer.variables, self._fresh_optimizer, strict=True):
            variable.assign(value)
        batch = {"images": images, "known": original.sample(len(images), seed=0)}
        for _ in range(STEPS):
            self.train_on_batch(batch)
        options = {"samples": samples, "seed": seed, "batch_size": len(images), "progress": False}
        return np.asarray(self.detector.statistics(images, **options)["nll"])

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the two terms, a number each."""
        seen, known = (self.detector(inputs[kind], training=False) for kind in ("images", "known"))  # without noise
        pull = ops.mean(seen["reconstruction"] + ops.square(seen["latent_norm"]) / 2)
        return ops.mean(known["nll"]) + PULL * pull

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The sum of the terms (called by Keras)."""
        return y_pred
