"""Self-supervision: what an encoder learns from images alone."""

from typing import Any

import keras
from keras import layers, ops

from keras_ood.images.views import view


class SelfSupervised(keras.Model):  # type: ignore[misc]
    """An encoder with the two heads that train it, which are thrown away afterwards.

    Every image is turned by 0, 90, 180 or 270 degrees and seen in two views. With `f` the mean over height and width of the
    encoder's last map, the loss is

        nt_xent(projection(f(views))) + cross entropy(rotation(f(views)), turns).

    Two views of an image turned alike are to be near each other and far from the batch's other images; by how much an image
    was turned is to be told.

    Args:
        encoder: From `(batch, side, side, channels)` float images in 0..1 to a list of maps, as `residual` makes.
        flips: Whether half of the views are seen in a mirror: not for signs, letters and digits.
        temperature: See `nt_xent`.

    Source: Tack, Mo, Jeong, Shin, "CSI", arXiv 2007.08176; Gidaris, Singh, Komodakis, arXiv 1803.07728.
    """

    def __init__(self, encoder: keras.Model, flips: bool = False, temperature: float = 0.2) -> None:
        super().__init__(dtype="float32")  # views are made in full precision whatever the encoder computes in
        height, width = encoder.input_shape[1:3]
        if height != width:
            raise ValueError(f"Images must be square: they are turned. Received: {encoder.input_shape[1:]}")
        self.encoder, self.flips, self.temperature = encoder, flips, temperature
        self.pool = layers.GlobalAveragePooling2D("channels_last")
        features = encoder.outputs[-1].shape[-1]
        self.projection = keras.Sequential([layers.Dense(features, "relu"), layers.Dense(PROJECTED)])
        self.rotation = layers.Dense(TURNS, kernel_initializer="zeros")  # else it drowns the contrast at first
        for head in (self.projection, self.rotation):
            head.build((None, features))
        self.built = True
        self._means = [keras.metrics.Mean(name, dtype="float32") for name in ("contrast", "turns")]

    def call(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return what the heads say of the views, all images' first views and then all second ones.

        Args:
            inputs: Batches of `keras_ood.training.draws.Draws`.
            training: Makes no difference.

        Returns:
            `{"contrast": (2 batch, PROJECTED), "turns": logits (2 batch, 4)}`, float32.
        """
        images, turns, draws = (inputs[name] for name in ("images", "turns", "draws"))
        views = ops.concatenate([view(images, turns, draws[:, index], self.flips) for index in range(2)])
        features = self.pool(self.encoder(views)[-1])
        found = {"contrast": self.projection(features), "turns": self.rotation(features)}
        return {name: ops.cast(value, "float32") for name, value in found.items()}

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The sum of both losses (called by Keras); `y` is the turns."""
        rotation = keras.losses.sparse_categorical_crossentropy(ops.tile(y, 2), y_pred["turns"], from_logits=True)
        losses = nt_xent(y_pred["contrast"], self.temperature), ops.mean(rotation)
        for mean, loss in zip(self._means, losses, strict=True):
            mean.update_state(loss)
        return sum(losses)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Running means of the losses (called by Keras)."""
        return dict(self.get_metrics_result())


PROJECTED, TURNS = 128, 4


def nt_xent(projections: Any, temperature: float) -> Any:
    """Return the normalised temperature-scaled cross entropy of two views, in nats.

    With `z` the projections at length 1, and `p(i)` the place of the other view of the same image, the mean over `i` of

        log sum over k != i of exp(z_i z_k / temperature) - z_i z_p(i) / temperature.

    Args:
        projections: `(2 batch, features)`, all images' first views and then all second ones.
        temperature: A positive number.

    Source: Chen, Kornblith, Norouzi, Hinton, "SimCLR", arXiv 2002.05709, eq. 1.
    """
    projections = ops.normalize(projections, axis=-1)
    similar = ops.matmul(projections, ops.transpose(projections)) / temperature
    places = ops.arange(ops.shape(projections)[0])
    others = ops.logsumexp(ops.where(places[:, None] == places, -1e9, similar), axis=1)
    first, second = ops.split(projections, 2)
    pairs = ops.sum(first * second, axis=-1) / temperature
    return ops.mean(others) - ops.mean(pairs)
