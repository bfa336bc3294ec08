"""Several detectors of one kind as one."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ood.calibration.calibrated_scores import weights_digest
from keras_ood.encoders.feature_space import FeatureSpace
from keras_ood.models.detector import Detector


@keras.saving.register_keras_serializable(package="keras_ood")
class Ensemble(Detector):
    """Detectors trained alike from different seeds: every statistic is their mean, and `nll_variance` how they disagree.

    Statistics, `(batch,)` float32: those of the members, and `nll_variance`, the variance of the nll over the members (divided
    by their number) in nats squared. What the members have in common is the ensemble's: preprocessing, dtype policy, and a
    background model where all have the same.

    Args:
        members: Two or more detectors of one class with the same settings, of other weights each; copied.
        default_score: The score that methods use when none is named.

    Raises:
        ValueError: Too few members, different ones, or one twice.
    """

    def __init__(self, members: Sequence[Any], default_score: str = "waic", **kwargs: Any) -> None:
        members = list(members)
        built = [keras.saving.deserialize_keras_object(one) if isinstance(one, dict) else one for one in members]
        kinds = [type(member).__name__ for member in built]
        if len(built) < 2 or not all(isinstance(member, Detector) for member in built):
            raise ValueError(f"An ensemble has two or more members, detectors all of them. Received: {len(built)}, {kinds}")
        if unlike := _differences(built):
            raise ValueError(f"An ensemble's members are of one class with the same settings. Received: {unlike}")
        given = [
            weights_digest(weight.numpy() for weight in member.own_weights())
            for member, one in zip(built, members, strict=True)
            if member is one
        ]
        if len(set(given)) < len(given):  # of configurations alone the weights come later
            raise ValueError(
                f"An ensemble's members have weights of their own. Received: the same ones twice, {len(given)} members"
            )
        backgrounds = [member.background for member in built]
        shared = backgrounds[0] is not None and len({background.weights_digest() for background in backgrounds}) == 1
        common = {"dtype": built[0].dtype_policy, "background": backgrounds[0] if shared else None}
        super().__init__(built[0].image_shape, default_score, **common | kwargs)
        self.members = [member.with_background(None) if member.background else member.inference_copy() for member in built]
        first = self.members[0]
        self.preprocessing, self.feature_space, self.entrance = first.preprocessing, first.feature_space, first.entrance
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> dict[str, Any]:
        """Return the statistics of a batch, see `Detector`."""
        each = [member(inputs, training=training) for member in self.members]
        statistics = {name: ops.mean(ops.stack([one[name] for one in each]), axis=0) for name in each[0]}
        return statistics | {"nll_variance": ops.var(ops.stack([one["nll"] for one in each]), axis=0)}

    def position_scores(self, seen: Any) -> Any:
        """Return the means of the members' scores at positions, see `Detector`."""
        return ops.mean(ops.stack([member.position_scores(seen) for member in self.members]), axis=0)

    @property
    def feature_spaces(self) -> list[FeatureSpace]:
        """Those of the members."""
        return [space for member in self.members for space in member.feature_spaces]

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
        del config["image_shape"], config["encoder"], config["aspect"]
        return config | {"members": [keras.saving.serialize_keras_object(member) for member in self.members]}


def _differences(members: Sequence[Detector]) -> dict[str, list[Any]]:
    """The first settings that the members do not have in common, with the value of each; their default score does not count."""
    described = [_settings(member) for member in members]
    keys = dict.fromkeys(key for settings in described for key in settings)
    values = {key: [settings.get(key) for settings in described] for key in keys}
    return dict(islice(((key, each) for key, each in values.items() if any(one != each[0] for one in each)), 3))


def _settings(member: Detector) -> dict[str, Any]:
    preprocessing, background = member.preprocessing, member.background
    return _flat(
        {
            "class": f"{type(member).__module__}.{type(member).__qualname__}",
            "dtype": member.dtype_policy.name,
            "background": None if background is None else _settings(background),
            "preprocessing": {"class": type(preprocessing).__qualname__} | preprocessing.get_config(),
        }
        | {key: value for key, value in member.get_config().items() if key not in ("background", "default_score")}
    )


def _flat(config: Any, path: str = "") -> dict[str, Any]:
    """A configuration as `{path: value}`, without the names that Keras counts up."""
    if not isinstance(config, (dict, list, tuple)):
        return {path: config}
    items = config.items() if isinstance(config, dict) else enumerate(config)
    parts = [_flat(value, f"{path}.{key}".lstrip(".")) for key, value in items if key != "name"]
    return {key: value for part in parts for key, value in part.items()}
