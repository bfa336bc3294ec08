"""How a preset is trained, as plain data."""

import dataclasses
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_ood import datasets
from keras_ood.attention import PerImageGate
from keras_ood.datasets.synthetic import perturb
from keras_ood.encoders import trained_encoder
from keras_ood.evaluation import studies
from keras_ood.hub import handles, preset, serialization
from keras_ood.models import Detector, InFlow, TiltedVAE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FAMILIES: dict[str, type[Detector]] = {"InFlow": InFlow, "TiltedVAE": TiltedVAE}
DERIVED = frozenset({"base", "attention", "studies", "out_of_distribution"})
DEFAULT_SCORE = "density_of_states"
"""Of every preset: one rule for the whole zoo, chosen for what it is fitted to, in-distribution statistics alone."""

_NOT_DECISIVE = frozenset({"name", "seeds", "out_of_distribution", "base", "background", "studies"})


@dataclass(frozen=True)
class Recipe:
    """A `recipe.toml`: everything that decides the weights of a preset.

    A recipe with a `base` takes every key that it does not name from that recipe of the same zoo, and its seeds' networks
    too: what is trained is the base.

    Attributes:
        name: Of the preset; the name of the recipe's folder.
        family: A key of `FAMILIES`.
        model: The constructor's arguments.
        dataset: In-distribution data set; its training split is trained on and calibrated with.
        calibration_size: Images of the training split kept out of training.
        epochs: Passes over what remains.
        batch_size: Images per step.
        learning_rate: Of Adam at the start; a cosine takes it to 0.
        seeds: One training each; the first is the preset, the others say how much a number varies.
        out_of_distribution: Names of data sets and of synthetic sets to evaluate on.
        dtype_policy: Of Keras, during the training; scores are computed in float32.
        base: The recipe whose training this one builds upon.
        attention: Of an InFlow: `encoder`, the zoo name of the TiltedVAE whose encoder the gate takes; `held_out`, the part of
            the calibration images that the gate takes for itself; and the settings of `PerImageGate`.
        studies: What is measured beside the scores: names of `keras_ood.evaluation.studies.STUDIES`.
        background: Of the background model for `likelihood_ratio`: `perturbed`, and the `epochs` of its training.
        perturbed: Share of the pixels that are replaced by noise before the training.
    """

    name: str
    family: str
    model: dict[str, Any]
    dataset: str
    calibration_size: int
    epochs: int
    batch_size: int
    learning_rate: float
    seeds: list[int]
    out_of_distribution: list[str]
    dtype_policy: str = "float32"
    base: "Recipe | None" = None
    attention: dict[str, Any] | None = None
    studies: tuple[str, ...] = ()
    background: dict[str, Any] | None = None
    perturbed: float = 0.0

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides a seed's weights and gate."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        decisive = {name: value for name, value in values.items() if name not in _NOT_DECISIVE}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    @classmethod
    def read(cls, path: str | Path) -> "Recipe":
        """Read a recipe file.

        Raises:
            ValueError: A key is missing or unknown, or the family is.
        """
        path = Path(path)
        content = path.read_bytes()
        try:
            values = tomllib.loads(content.decode())
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"A recipe is a TOML file. Received: {path} ({error})") from error
        derived: dict[str, Any] = {"name": path.resolve().parent.name}
        if "base" in values:
            if not set(values) <= DERIVED:
                raise ValueError(
                    f"A recipe with a base has keys of {sorted(DERIVED)} alone. Received: {sorted(values)} in {path}"
                )
            base = cls.read(path.resolve().parents[1] / values["base"] / path.name)
            inherited = {field.name: getattr(base, field.name) for field in dataclasses.fields(cls)}
            values = {key: value for key, value in inherited.items() if key not in derived} | values | {"base": base}
        fields = [field for field in dataclasses.fields(cls) if field.name not in derived]
        known, required = (
            {field.name for field in fields},
            {field.name for field in fields if field.default is dataclasses.MISSING},
        )
        if not required <= set(values) <= known:
            raise ValueError(
                f"A recipe has the keys {sorted(required)} and may have {sorted(known - required)}. "
                f"Received: {sorted(values)} in {path}"
            )
        if values["family"] not in FAMILIES:
            raise ValueError(f"`family` must be one of {sorted(FAMILIES)}. Received: {values['family']!r} in {path}")
        recipe = cls(**values, **derived)
        recipe._check_attention(path)
        recipe._check_additions(path)
        return recipe

    def _check_additions(self, path: Path) -> None:
        known = set(studies.STUDIES)
        if not set(self.studies) <= known:
            raise ValueError(f"`studies` are of {sorted(known)}. Received: {list(self.studies)} in {path}")
        background = self.background
        if background is not None and not (set(background) == {"perturbed", "epochs"} and 0 < background["perturbed"] < 1):
            raise ValueError(f"`background` has `perturbed`, between 0 and 1, and `epochs`. Received: {background} in {path}")

    def _check_attention(self, path: Path) -> None:
        if self.attention is None:
            return
        held_out = self.attention.get("held_out", 0)
        if self.family != "InFlow" or "encoder" not in self.attention or not 0 < held_out < self.calibration_size:
            raise ValueError(
                "`attention` belongs to an InFlow and names an `encoder` and `held_out`, less than `calibration_size`. "
                f"Received: {self.attention} for a {self.family} in {path}"
            )

    def build(self, for_training: bool = False) -> Detector:
        """Return the detector with fresh weights, in float32, or under `dtype_policy` for training."""
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.dtype_policy if for_training else "float32")
        try:
            return FAMILIES[self.family](**({"default_score": DEFAULT_SCORE} | self.model))
        finally:
            keras.config.set_dtype_policy(policy)

    def training_split(self) -> tuple[np.ndarray, np.ndarray]:
        """Return `(training images, calibration images)`, cut from the training split by a fixed shuffle."""
        training, held_out = self._split()
        return training, held_out[self._gate_size :]

    def images_to_train_on(self) -> np.ndarray:
        """Return the training images, with the pixels replaced that `perturbed` asks for."""
        images, _ = self.training_split()
        return perturb(images, self.perturbed, seed=0) if self.perturbed else images

    def background_recipe(self) -> "Recipe | None":
        """Return the recipe of the background model: this one on perturbed images, one seed; or None."""
        if self.background is None:
            return None
        return dataclasses.replace(
            self, name=f"{self.name}-background", seeds=self.seeds[:1], background=None, **self.background
        )

    def gate(self, trained: bool) -> PerImageGate | None:
        """Return the gate of `attention`, fitted to the training split, whose held-out images are not for calibration; or None.

        Args:
            trained: False for the same gate with an encoder of random weights.
        """
        if self.attention is None:
            return None
        settings = dict(self.attention)
        handle, _ = settings.pop("encoder"), settings.pop("held_out")
        inside = preset.read(handles.resolve(handle))["in_distribution"]
        if (inside["name"], inside["calibration_images"]) != (self.dataset, self.calibration_size):
            raise ValueError(
                f"The encoder must be trained on the same images of {self.dataset}, all but {self.calibration_size}. "
                f"Received: {handle!r}, trained on {inside['name']}, all but {inside['calibration_images']}"
            )
        detector = serialization.from_pretrained(handle)
        if not trained:
            detector = type(detector).from_config(detector.get_config())
        training, held_out = self._split()
        return PerImageGate.from_images(trained_encoder(detector), training, held_out[: self._gate_size], **settings)

    def attention_provenance(self) -> dict[str, Any] | None:
        """Return `attention` with the SHA-256 of the weights that its encoder comes from."""
        if self.attention is None:
            return None
        files = preset.read(handles.resolve(self.attention["encoder"]))["files"]
        return self.attention | {"encoder_sha256": files["model.weights.h5"]["sha256"]}

    @property
    def _gate_size(self) -> int:
        return 0 if self.attention is None else int(self.attention["held_out"])

    def _split(self) -> tuple[np.ndarray, np.ndarray]:
        images, _ = datasets.load(self.dataset, "train")
        order = np.random.default_rng(0).permutation(len(images))
        return images[order[self.calibration_size :]], images[order[: self.calibration_size]]
