"""How a preset is trained, as plain data."""

import dataclasses
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_ood import datasets
from keras_ood.models import Detector, InFlow, TiltedVAE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FAMILIES: dict[str, type[Detector]] = {"InFlow": InFlow, "TiltedVAE": TiltedVAE}


@dataclass(frozen=True)
class Recipe:
    """A `recipe.toml`: everything that decides the weights of a preset.

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
        digest: SHA-256 of the file.
        dtype_policy: Of Keras, during the training; scores are computed in float32.
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
    digest: str
    dtype_policy: str = "float32"

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
        derived: dict[str, Any] = {"name": path.resolve().parent.name, "digest": hashlib.sha256(content).hexdigest()}
        known = {field.name: field.default is dataclasses.MISSING for field in dataclasses.fields(cls) if field.name not in derived}
        required = {name for name, is_required in known.items() if is_required}
        if not required <= set(values) <= set(known):
            raise ValueError(
                f"A recipe has the keys {sorted(required)} and may have {sorted(set(known) - required)}. "
                f"Received: {sorted(values)} in {path}"
            )
        if values["family"] not in FAMILIES:
            raise ValueError(f"`family` must be one of {sorted(FAMILIES)}. Received: {values['family']!r} in {path}")
        return cls(**values, **derived)

    def build(self) -> Detector:
        """Return the detector with fresh weights."""
        return FAMILIES[self.family](**self.model)

    def training_split(self) -> tuple[np.ndarray, np.ndarray]:
        """Return `(training images, calibration images)`, cut from the training split by a fixed shuffle."""
        images, _ = datasets.load(self.dataset, "train")
        order = np.random.default_rng(0).permutation(len(images))
        return images[order[self.calibration_size :]], images[order[: self.calibration_size]]
