"""Settings of a TiltedVAE compared on in-distribution images alone, at equal cost of training."""

import dataclasses
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_ood.backend.optimizers import adam
from keras_ood.callbacks.budget import Budget
from keras_ood.evaluation.studies.sample_quality import Quality, SampleQuality
from keras_ood.hub.content import Content
from keras_ood.hub.template import fill
from keras_ood.models import TiltedVAE
from keras_ood.recipes.recipe import Recipe
from keras_ood.tables.markdown import markdown_table
from keras_ood.tables.records import read_records, writable, write_records
from keras_ood.terminal.numbers import is_between

CSV = "sweep.csv"
DRAWS = 4  # of z, for the bound

_TEMPLATE = Path(__file__).with_name("sweep.md.jinja")
_SHOWN = ("architecture", "latent_dim", "tilt", "steps", "nll", "squared_error", "sharpness_samples", "frechet")


@dataclass(frozen=True)
class SweepRow:
    """One setting, measured on the recipe's held-out images.

    Attributes:
        architecture: As in `TiltedVAE`.
        latent_dim: As in `TiltedVAE`.
        tilt: As in `TiltedVAE`.
        parameters: Trainable ones.
        processor_seconds: Spent on training, all cores together.
        steps: Steps of training that this bought.
        nll: Mean bound on -log p(x) in nats: z drawn, the KL exact, committed rate included.
        reconstruction: Its first part.
        kl: Its second part.
        quality: See `keras_ood.evaluation.studies.sample_quality`.
    """

    architecture: str
    latent_dim: int
    tilt: float
    parameters: int
    processor_seconds: float
    steps: int
    nll: float
    reconstruction: float
    kl: float
    quality: Quality

    def record(self) -> dict[str, Any]:
        """Return a flat row."""
        record = dataclasses.asdict(self)
        return record | {name: round(value, 6) for name, value in record.pop("quality").items()}


def sweep(
    recipe: Recipe, settings: Iterable[dict[str, Any]], seconds: float, path: Path, runs: Path
) -> Iterator[dict[str, Any]]:
    """Train a recipe's model in each setting for the same processor time, and measure it on held-out training images.

    No test image and no out-of-distribution image is read. A row is written as soon as it is there, and one that `path` has
    already is not measured again.

    Args:
        recipe: Recipe of a TiltedVAE.
        settings: Arguments of the constructor that replace the recipe's: `architecture`, `latent_dim`, `tilt`.
        seconds: Processor time of each training.
        path: CSV file.
        runs: Folder of trainings, for the classifier.

    Raises:
        ValueError: Another family, no time, or a setting that cannot be, said before anything is trained.
        OSError: A folder that cannot be written.
    """
    if recipe.family != "TiltedVAE" or not is_between(seconds, 0, math.inf):
        raise ValueError(f"A sweep is of a TiltedVAE, for seconds > 0. Received: {recipe.family}, {seconds!r} s")
    for place in (path.parent, runs):
        writable(place)
    models = {}
    for setting in settings:
        model = recipe.model | setting
        config = dataclasses.replace(recipe, model=model).build().get_config()
        models[config["architecture"], str(config["latent_dim"]), str(config["tilt"]), str(float(seconds))] = model
    training, held_out = recipe.training_split()
    records: list[dict[str, Any]] = list(read_records(path)) if path.exists() else []
    keys = ("architecture", "latent_dim", "tilt", "processor_seconds")
    done = {tuple(str(record[key]) for key in keys) for record in records}
    quality = None
    for key, model in models.items():
        if key in done:
            continue
        quality = quality or SampleQuality(recipe.dataset, held_out, runs)
        row = _measure(recipe, model, training, held_out, seconds, quality).record()
        records.append(row)
        write_records(path, records)
        yield row


def parse_setting(text: str) -> dict[str, Any]:
    """Return the setting written as `architecture,latent_dim,tilt`.

    >>> parse_setting("small,64,20")
    {'architecture': 'small', 'latent_dim': 64, 'tilt': 20.0}
    """
    try:
        architecture, latent_dim, tilt = text.split(",")
        return {"architecture": architecture, "latent_dim": int(latent_dim), "tilt": float(tilt)}
    except ValueError as error:
        raise ValueError(f"A setting is architecture,latent_dim,tilt, such as small,64,20. Received: {text!r}") from error


def section(folder: Path, content: Content) -> str | None:
    """Return what a preset's card says of the choice of its settings; see `keras_ood.evaluation.studies`."""
    if not (folder / CSV).exists():
        return None
    records = sorted(read_records(folder / CSV), key=lambda record: float(record["nll"]))
    header = [name.replace("_", " ") for name in _SHOWN]
    table = markdown_table(header, [[record[name] for name in _SHOWN] for record in records])
    return fill(_TEMPLATE, {"seconds": f"{float(records[0]['processor_seconds']):g}", "table": table})


def _measure(
    recipe: Recipe, model: dict[str, Any], training: np.ndarray, held_out: np.ndarray, seconds: float, quality: SampleQuality
) -> SweepRow:
    keras.utils.set_random_seed(recipe.seeds[0])
    detector = TiltedVAE(**model)
    budget = Budget(seconds, recipe.learning_rate)
    detector.compile(adam(recipe.learning_rate))
    images = training / np.float32(255)
    detector.fit(images[: recipe.batch_size], batch_size=recipe.batch_size, verbose=0)  # compiles, before the clock starts
    detector.fit(images, batch_size=recipe.batch_size, epochs=10_000, verbose=0, callbacks=[budget])
    exact = detector.remade(kl="exact")
    exact.set_weights(detector.get_weights())
    bound = {name: float(np.mean(values)) for name, values in exact.statistics(held_out, samples=DRAWS).items()}
    return SweepRow(
        architecture=exact.architecture,
        latent_dim=exact.latent_dim,
        tilt=exact.tilt,
        parameters=sum(int(np.prod(weight.shape)) for weight in exact.trainable_weights),
        processor_seconds=float(seconds),
        steps=budget.steps,
        nll=round(bound["nll"], 2),
        reconstruction=round(bound["reconstruction"], 2),
        kl=round(bound["kl"], 2),
        quality=quality.measure(exact),
    )
