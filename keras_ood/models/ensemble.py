"""Several detectors of one kind as one."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ood.models.detector import Detector


@keras.saving.register_keras_serializable(package="keras_ood")
class Ensemble(Detector):
    """Detectors trained alike from different seeds: every statistic is their mean, and `nll_variance` how they disagree.

    Statistics, `(batch,)` float32: those of the members, and `nll_variance`, the variance of the nll over the members (divided
    by their number) in nats squared.

    Args:
        members: Two or more detectors of one family with the same settings; copied.
        default_score: The score that methods use when none is named.

    Raises:
        ValueError: Too few members, or different ones.
    """

    def __init__(self, members: Sequence[Any], default_score: str = "waic", **kwargs: Any) -> None:
        built = [keras.saving.deserialize_keras_object(one) if isinstance(one, dict) else one for one in members]
        if len(built) < 2:
            raise ValueError(f"An ensemble has two or more members. Received: {len(built)}")
        kinds = sorted({f"{type(member).__name__} {_settings(member)}" for member in built})
        if len(kinds) > 1:
            raise ValueError(f"An ensemble's members are of one family with the same settings. Received: {kinds}")
        super().__init__(built[0].image_shape, default_score, **kwargs)
        self.members = [member.inference_copy() for member in built]  # see `Detector`
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> dict[str, Any]:
        """Return the statistics of a batch, see `Detector`."""
        each = [member(inputs, training=training) for member in self.members]
        statistics = {name: ops.mean(ops.stack([one[name] for one in each]), axis=0) for name in each[0]}
        return statistics | {"nll_variance": ops.var(ops.stack([one["nll"] for one in each]), axis=0)}

    def draw_noise(self, samples: int, seed: int) -> np.ndarray:
        """Return the noise of the first member, which all of them get."""
        return np.asarray(self.members[0].draw_noise(samples, seed))

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """Return `n` images, drawn from the members in turn."""
        drawn = [member.sample(-(-n // len(self.members)), seed) for member in self.members]
        return np.stack(drawn, axis=1).reshape(-1, *self.image_shape)[:n]

    def resized_config(self, image_shape: tuple[int, int, int]) -> dict[str, Any]:
        """Refuse: only members have weights to take over."""
        raise ValueError("An Ensemble has no weights of its own: transfer its members. Received: an Ensemble")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        del config["image_shape"]
        return config | {"members": [keras.saving.serialize_keras_object(member) for member in self.members]}


def _settings(member: Detector) -> dict[str, Any]:
    config = member.get_config()
    return {key: config[key] for key in sorted(config) if key not in ("name", "background", "default_score", "attention")}
