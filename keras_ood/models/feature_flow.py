"""The part of an InFlow that works on the features of a frozen encoder."""

import math
from typing import Any

import numpy as np
from keras import ops

from keras_ood.calibration.conformal import MINIMUM_SIZE
from keras_ood.encoders import MapSpace
from keras_ood.models.detector import Detector


class FeatureFlow(Detector):
    """A flow of whitened features, of the image as a whole or at every position, and the gate that looks at others.

    Attributes:
        flow: The `keras_ood.networks.flow.Flow`.
        attention: As in `keras_ood.models.InFlow`.
        gate_positions: As there.
    """

    flow: Any
    attention: Any
    gate_positions: bool
    position_mean: Any
    position_scale: Any

    def add_positions(self) -> None:
        """Add the weights for what is usual at every position, which `settle` sets."""
        grid = {"shape": self.entrance.event_shape[:2], "dtype": "float32", "trainable": False, "autocast": False}
        self.position_mean = self.add_weight(name="position_mean", initializer="zeros", **grid)
        self.position_scale = self.add_weight(name="position_scale", initializer="ones", **grid)

    def gate_on_features(self, features: Any) -> tuple[dict[str, Any], Any]:
        """Return the gate's statistics, `(batch,)` each, and c, `(batch,)` or `(batch, h, w)`, of the encoder's features."""
        others = self.feature_space.others(features)
        if self.gate_positions:
            maps = self.attention.at_positions(others)
            gate = {
                "attention": ops.mean(maps["attention"], axis=(1, 2)),
                "attention_p_value": ops.min(maps["attention_p_value"], axis=(1, 2)),
                "gate_mahalanobis": ops.max(maps["mahalanobis"], axis=(1, 2)),
            }
            return gate, maps["attention"]
        gate = dict(self.attention(others if len(others.shape) == 2 else ops.mean(others, axis=(1, 2))))
        gate["gate_mahalanobis"] = gate.pop("mahalanobis")
        return gate, gate["attention"]

    def position_scores(self, seen: Any) -> Any:
        """Return the nll at every position over feature maps, else what a `Detector` does."""
        if not isinstance(self.feature_space, MapSpace):
            return super().position_scores(seen)
        _, attention = self._attention(seen, training=False)
        return self._at_positions(self.feature_space(seen), attention)[1]

    def _attention(self, images: Any, training: bool) -> tuple[dict[str, Any], Any]:
        raise NotImplementedError

    def statistics_of_features(self, whitened: Any, attention: Any) -> dict[str, Any]:
        """Return the flow's statistics, `(batch,)` each, of whitened features at an attention."""
        latents, nll, log_det = self._at_positions(whitened, attention)
        found = {
            "nll": ops.sum(nll, axis=(1, 2)),
            "log_det": ops.sum(log_det, axis=(1, 2)),
            "latent_norm": ops.sqrt(ops.sum(ops.square(latents), axis=(1, 2, 3))),
        }
        if not isinstance(self.feature_space, MapSpace):
            return found
        return found | {"peak": ops.max((nll - self.position_mean) / self.position_scale, axis=(1, 2))}

    def _at_positions(self, whitened: Any, attention: Any) -> tuple[Any, Any, Any]:
        """Latents, nll and log-determinant at every position; the features of an image are one position."""
        maps = whitened if len(whitened.shape) == 4 else whitened[:, None, None, :]
        latents, log_det = self.flow.bijector(attention).forward_and_log_det_map(maps)
        if isinstance(self.feature_space, MapSpace):
            log_density = self.feature_space.log_density(latents)
        else:
            log_density = -0.5 * ops.sum(ops.square(latents), axis=-1) - 0.5 * maps.shape[-1] * math.log(2 * math.pi)
        return latents, -log_density - log_det, log_det

    def pooled_features(self, features: Any) -> Any:
        """Return whitened features, `(batch, width)`, of the encoder's; of maps the means over the positions."""
        whitened = self.feature_space(features)
        return whitened if len(whitened.shape) == 2 else ops.mean(whitened, axis=(1, 2))

    def settle(self, images: Any) -> None:
        """Set mean and deviation of the nll at every position over feature maps, `a_p` and `b_p`; see `Trainable`.

        `fit` does it at its end. It is to be done anew when the gate is another one, and after a training on a stream.

        Raises:
            ValueError: Fewer than 20 images.
        """
        if not isinstance(self.feature_space, MapSpace):
            return
        maps = self.score_map(images)
        if len(maps) < MINIMUM_SIZE:
            raise ValueError(f"What is usual at a position takes at least {MINIMUM_SIZE} images. Received: {len(maps)}")
        self.position_mean.assign(maps.mean(axis=0))
        self.position_scale.assign(np.maximum(maps.std(axis=0), 1e-3 * max(1.0, float(maps.std()))))


def as_map_space(encoder: Any) -> Any:
    """Return a `MapSpace`, or what it takes as its `encoder`, as one; a configuration is of one already."""
    return encoder if isinstance(encoder, (dict, MapSpace)) else MapSpace(encoder)
