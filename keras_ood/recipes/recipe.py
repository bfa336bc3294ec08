"""How a preset is trained, as plain data."""

import dataclasses
import hashlib
import inspect
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np

from keras_ood import datasets
from keras_ood.attention import PerImageGate
from keras_ood.backend.settings import own_settings
from keras_ood.datasets.synthetic import perturb
from keras_ood.encoders import embed, trained_encoder
from keras_ood.hub import handles, preset
from keras_ood.hub.content import Encoder, looks_at
from keras_ood.loading import from_pretrained
from keras_ood.models import FAMILIES, Detector
from keras_ood.recipes.checks import check
from keras_ood.recipes.encoder_recipe import EncoderRecipe
from keras_ood.recipes.parts import BackgroundRecipe, GateRecipe, parts_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DERIVED = frozenset({"base", "attention", "studies", "out_of_distribution"})
DEFAULT_SCORE, DEFAULT_SCORE_OF_FEATURES = "density_of_states", "fusion"
"""Of every preset over pixels, and of every one over an encoder: chosen for what they are fitted to, in-distribution statistics
alone. Features tell far from near by themselves, so that their distances count, one-sided. On the training images of CIFAR-10,
every other class left out in turn and taken for out-of-distribution, the mean AUROC of distance, memory and their sum is 0.766,
0.778 and 0.773: near each other, and the sum is the one in which what was trained counts."""

_FITTED: dict[str, list[np.ndarray]] = {}  # weights of feature spaces: all seeds of a recipe have the same
_NOT_DECISIVE = frozenset({"name", "seeds", "out_of_distribution", "base", "background", "studies", "beside"})


@dataclass(frozen=True)
class Recipe:
    """A `recipe.toml`: everything that decides the weights of a preset.

    A recipe with a `base` takes every key that it does not name from that recipe of the same zoo, and its seeds' networks
    too: what is trained is the base.

    Attributes:
        name: Name of the preset, which is that of the recipe's folder.
        family: A key of `keras_ood.models.FAMILIES`.
        model: The constructor's arguments.
        dataset: In-distribution data set; its training split is trained on and calibrated with.
        calibration_size: Images of the training split kept out of training.
        epochs: Passes over what remains.
        batch_size: Images per step.
        learning_rate: Learning rate of Adam at the start; a cosine takes it to 0.
        seeds: One training each; the first is the preset, the others say how much a number varies.
        out_of_distribution: Names of data sets and of synthetic sets to evaluate on.
        dtype_policy: Policy of Keras, during the training; scores are computed in float32.
        base: The recipe whose training this one builds upon.
        attention: Gate of an InFlow; None without.
        studies: What is measured beside the scores: names of `keras_ood.evaluation.studies.STUDIES`.
        background: Background model for `likelihood_ratio`; None without.
        perturbed: Share of the pixels that are replaced by noise before the training.
        encoder: Frozen encoder that the detector looks through; None for pixels.
        beside: `{title: arguments of the family that are others, or another encoder}`: trained and measured beside the preset,
            columns of its card.
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
    attention: GateRecipe | None = None
    studies: tuple[str, ...] = ()
    background: BackgroundRecipe | None = None
    perturbed: float = 0.0
    encoder: EncoderRecipe | None = None
    beside: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check({field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides a seed's weights and gate."""
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values["attention"] = self.attention and self.attention.table()
        if self.encoder is None:  # as it was before there were encoders
            del values["encoder"]
        else:
            values["encoder"] = self.encoder.table()
        decisive = {name: value for name, value in values.items() if name not in _NOT_DECISIVE}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    @classmethod
    def read(cls, path: str | Path) -> "Recipe":
        """Read a recipe file.

        Raises:
            ValueError: A key is missing or unknown, or has a value that cannot be.
        """
        return cls._read(Path(path), may_have_a_base=True)

    @classmethod
    def _read(cls, path: Path, may_have_a_base: bool) -> "Recipe":
        content = path.read_bytes()
        try:
            values = tomllib.loads(content.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"A recipe is a TOML file. Received: {path} ({error})") from error
        derived: dict[str, Any] = {"name": path.resolve().parent.name}
        if "base" in values:
            if not set(values) <= DERIVED:
                raise ValueError(
                    f"A recipe with a base has keys of {sorted(DERIVED)} alone. Received: {sorted(values)} in {path}"
                )
            if not (isinstance(values["base"], str) and Path(values["base"]).name == values["base"] and may_have_a_base):
                raise ValueError(
                    f"`base` names a recipe of the same zoo that has no base. Received: {values['base']!r} in {path}"
                )
            base = cls._read(path.resolve().parents[1] / values["base"] / path.name, may_have_a_base=False)
            inherited = {field.name: getattr(base, field.name) for field in dataclasses.fields(cls)}
            values = {key: value for key, value in inherited.items() if key not in derived} | values | {"base": base}
        fields = [field for field in dataclasses.fields(cls) if field.name not in derived]
        known, required = (
            {field.name for field in fields},
            {field.name for field in fields if field.default is field.default_factory is dataclasses.MISSING},
        )
        if not required <= set(values) <= known:
            raise ValueError(
                f"A recipe has the keys {sorted(required)} and may have {sorted(known - required)}. "
                f"Received: {sorted(values)} in {path}"
            )
        try:
            recipe = cls(**values | parts_of(values), **derived)
            recipe.others_beside()
            if recipe.encoder is not None and recipe.encoder.network is None:
                raise ValueError(
                    "A preset's `encoder` has a name, by which others find it; `self_supervised` is for what stands in "
                    f"`beside`. Received: {recipe.encoder.table()}"
                )
            return recipe
        except ValueError as error:
            raise ValueError(f"{error} in {path}") from error

    def build(self, for_training: bool = False) -> Detector:
        """Return the detector with fresh weights, in float32, or under `dtype_policy` for training.

        Raises:
            ValueError: `model` is not what the family takes, or of another number of channels than the data set.
        """
        family, channels = FAMILIES[self.family], datasets.get(self.dataset).image_shape[2]
        try:
            with own_settings(self.dtype_policy if for_training else "float32"):
                detector = family(**(self._beyond_the_model() | self.model))
        except (TypeError, ValueError) as error:
            accepted = [name for name in inspect.signature(family).parameters if name != "kwargs"]
            raise ValueError(f"`model` takes {accepted} of {self.family}. Received: {self.model} ({error})") from error
        if detector.image_shape[2] != channels:
            raise ValueError(
                f"`image_shape` has the {channels} channels of {self.dataset}, whatever its size. Received: {self.model}"
            )
        return detector

    def _beyond_the_model(self) -> dict[str, Any]:
        encoder = {} if self.encoder is None else {"encoder": self.encoder.feature_space()}
        return {"default_score": self.default_score, **encoder}

    @property
    def default_score(self) -> str:
        """Name of the detector's default score."""
        return str(self.model.get("default_score", DEFAULT_SCORE if self.encoder is None else DEFAULT_SCORE_OF_FEATURES))

    @property
    def looks_at(self) -> str:
        """What the detector looks at, see `keras_ood.hub.content.looks_at`."""
        return looks_at(None if self.encoder is None else cast(Encoder, self.encoder.frozen().provenance()))

    def others_beside(self) -> "dict[str, Recipe]":
        """Return the recipes that `beside` describes, by their titles.

        Raises:
            ValueError: An encoder that cannot be.
        """
        others = {}
        for title, changes in self.beside.items():
            arguments = {key: value for key, value in changes.items() if key != "encoder"}
            encoder = EncoderRecipe.of(changes["encoder"]) if "encoder" in changes else self.encoder
            name = f"{self.name}-{title.replace(' ', '-')}"
            others[title] = dataclasses.replace(self, name=name, model=self.model | arguments, encoder=encoder, beside={})
        return others

    def seen(self, images: np.ndarray) -> Any:
        """Return images as the detector looks at them: the same, or their embeddings, computed once and kept on disk."""
        if self.encoder is None:
            return images
        shape, aspect = tuple(self.model["image_shape"]), self.model.get("aspect", "stretch")
        return embed(images, self.encoder.frozen(), shape, aspect=aspect)

    def fit_feature_space(self, detector: Detector) -> None:
        """Whiten the features of a fresh detector by the training images, where it looks through an encoder."""
        if self.encoder is not None:
            seen = [self.model.get(name) for name in ("image_shape", "aspect")]
            key = json.dumps([self.dataset, self.calibration_size, self.encoder.table(), *seen])
            if key not in _FITTED:
                _FITTED[key] = self.encoder.feature_space().fit(self.seen(self.training_split()[0])).get_weights()
            detector.feature_space.set_weights(_FITTED[key])

    def training_split(self) -> tuple[np.ndarray, np.ndarray]:
        """Return `(training images, calibration images)`, cut from the training split by a fixed shuffle."""
        training, held_out = self._split()
        return training, held_out[self._gate_size :]

    def calibration_images(self) -> Any:
        """Return the calibration images of `training_split`, as the detector looks at them."""
        return self.seen(self._split()[1])[self._gate_size :]

    def images_to_train_on(self) -> np.ndarray:
        """Return the training images, with the pixels replaced that `perturbed` asks for."""
        images, _ = self.training_split()
        return perturb(images, self.perturbed, seed=0) if self.perturbed else images

    def background_recipe(self) -> "Recipe | None":
        """Return the recipe of the background model: this one on perturbed images, one seed; or None."""
        if self.background is None:
            return None
        return dataclasses.replace(
            self, name=f"{self.name}-background", seeds=self.seeds[:1], background=None, **self.background.table()
        )

    def gate(self, trained: bool) -> PerImageGate | None:
        """Return the gate of `attention`, fitted to the training split, whose held-out images are not for calibration; or None.

        Args:
            trained: False for the same gate with an encoder of random weights, drawn by the first seed.
        """
        if self.attention is None:
            return None
        training, held_out = self._split()
        if self.encoder is not None:
            seen = self.seen(training), self.seen(held_out)[: self._gate_size]
            positions = bool(self.model.get("gate_positions"))
            fitted_to, held_against = self.encoder.feature_space().gate_features(*seen, positions)
            return PerImageGate.from_features(fitted_to, held_against, **self.attention.settings)
        handle = self.attention.encoder
        assert handle is not None, "checked above"
        inside = preset.read(handles.resolve(handle))["in_distribution"]
        if (inside["name"], inside["calibration_images"]) != (self.dataset, self.calibration_size):
            raise ValueError(
                f"The encoder must be trained on the same images of {self.dataset}, all but {self.calibration_size}. "
                f"Received: {handle!r}, trained on {inside['name']}, all but {inside['calibration_images']}"
            )
        detector = from_pretrained(handle)
        if not trained:
            keras.utils.set_random_seed(self.seeds[0])
            detector = detector.remade()
        return PerImageGate.from_images(
            trained_encoder(detector), training, held_out[: self._gate_size], **self.attention.settings
        )

    def attention_provenance(self) -> dict[str, Any] | None:
        """Return `attention` with the SHA-256 of the weights that its encoder comes from."""
        if self.attention is None:
            return None
        if self.attention.encoder is None:
            return self.attention.table()
        files = preset.read(handles.resolve(self.attention.encoder))["files"]
        return self.attention.table() | {"encoder_sha256": files["model.weights.h5"]["sha256"]}

    @property
    def _gate_size(self) -> int:
        return 0 if self.attention is None else self.attention.held_out

    def _split(self) -> tuple[np.ndarray, np.ndarray]:
        images, _ = datasets.load(self.dataset, "train")
        if self.calibration_size >= len(images):
            raise ValueError(
                f"`calibration_size` leaves images of {self.dataset} to train on, which has {len(images)}. "
                f"Received: {self.calibration_size}"
            )
        order = np.random.default_rng(0).permutation(len(images))
        return images[order[self.calibration_size :]], images[order[: self.calibration_size]]
