"""From a pretrained detector and a set of one's own images to a calibrated, measured preset."""

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_ood import datasets, plots, scores
from keras_ood.attention import PerImageGate
from keras_ood.backend.machine import describe_machine
from keras_ood.backend.optimizers import cosine_adam
from keras_ood.callbacks.checkpoints import Checkpoints
from keras_ood.callbacks.early_stopping import EarlyStopping
from keras_ood.callbacks.log import TrainingLog
from keras_ood.cards import card
from keras_ood.datasets.named import named_images
from keras_ood.datasets.synthetic import applicable
from keras_ood.evaluation.evaluate import evaluate, headline
from keras_ood.evaluation.report import Report
from keras_ood.hub import serialization
from keras_ood.images.sources import gather
from keras_ood.models import Detector, InFlow, transfer
from keras_ood.tables.records import write_records
from keras_ood.training.split import Split

LOG, PICTURE = "training.csv", "training.png"
_SETTINGS = "settings.json"


@dataclass(frozen=True)
class Settings:
    """How a detector is fine-tuned.

    Attributes:
        epochs: Passes over the training part, at most.
        patience: Epochs without a better loss on the validation part after which training stops.
        batch_size: Images per step.
        learning_rate: Of Adam at the start; a cosine takes it to 0 over `epochs`.
        freeze_encoder: Whether a VAE's encoder, up to the heads of the latent, keeps its weights.
        seed: Of the split, of fresh weights, the shuffling and the noise.
    """

    epochs: int = 30
    patience: int = 5
    batch_size: int = 64
    learning_rate: float = 1e-3
    freeze_encoder: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"epochs": 1, "patience": 1, "batch_size": 1, "seed": 0}
        wrong = {name: getattr(self, name) for name, value in least.items() if getattr(self, name) < value}
        if wrong or not 0 < self.learning_rate < 1:
            raise ValueError(
                "`epochs`, `patience` and `batch_size` must be positive, `seed` not negative, `learning_rate` between 0 and 1. "
                f"Received: {wrong or self.learning_rate}"
            )


def finetune(
    source: Detector | str | os.PathLike[str],
    images: Any,
    folder: str | os.PathLike[str],
    *,
    settings: Settings | None = None,
    image_shape: tuple[int, int, int] | None = None,
    title: str = "images of one's own",
    licence: str = "not stated",
    out_of_distribution: Mapping[str, Any] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
) -> Detector:
    """Return a pretrained detector trained further on in-distribution images, calibrated, measured and saved as a preset.

    The images are cut in four (`keras_ood.training.split.Split`): training, validation, which says when to stop, calibration, and test,
    on which false alarms are counted. The weights of the best validation loss are kept. An InFlow's gate is fitted anew in its
    own encoder's features, on half of a calibration part twice as large. A background model is left behind.

    What a training reaches is kept beside `folder`, in `<folder>.training`, after every epoch: the same call goes on where a
    killed one was. The preset has a card, `results.csv` with the source recalibrated and the untrained network beside the
    fine-tuned one, and the curves of the training.

    Args:
        source: A detector, or a handle as `from_pretrained` takes.
        images: In-distribution images, any accepted source: a folder of files of any size, an array, ...; held in memory.
        folder: Of the new preset, absent or empty.
        settings: None for the defaults of `Settings`.
        image_shape: `(height, width, channels)` of the new detector; None for the source's. See `keras_ood.models.transfer`.
        title: What the images are, for the card.
        licence: Theirs, for the card.
        out_of_distribution: `{name: images}` to measure on, beside the synthetic sets; as in `evaluate`.
        callbacks: Further ones of Keras.
        verbose: As in `keras.Model.fit`.

    Raises:
        ValueError: Too few images, a setting that cannot be, or a training at `<folder>.training` of other images or settings.
        FileExistsError: `folder` holds something.
    """
    folder, settings = Path(folder).resolve(), settings or Settings()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise FileExistsError(f"Fine-tuning writes a new preset, into a folder that is absent or empty. Received: {folder}")
    original = source if isinstance(source, Detector) else serialization.from_pretrained(source)
    _check(original, settings)
    outside = {name: named_images(name if images is None else images) for name, images in (out_of_distribution or {}).items()}
    keras.utils.set_random_seed(settings.seed)
    moved = transfer(original, image_shape)
    gate = original.attention if isinstance(original, InFlow) and isinstance(original.attention, PerImageGate) else None
    split = Split.of(gather(images, moved.detector.preprocessing), settings.seed, calibrations=1 if gate is None else 2)
    state = folder.with_name(f"{folder.name}.training")
    trained, log = train(moved.detector, split, settings, state, callbacks, verbose)
    encoder = None if gate is None else gate.encoder
    detectors = {"trained": _calibrated(trained, gate, encoder, split)}
    if moved.share == 1 and not moved.converted:
        detectors["source"] = _calibrated(original.inference_copy(), gate, encoder, split)
    keras.utils.set_random_seed(settings.seed)
    fresh = type(original).from_config(moved.detector.get_config())
    fresh_encoder = None if encoder is None else keras.models.clone_model(encoder)
    detectors["untrained"] = _calibrated(fresh, gate, fresh_encoder, split)
    reports = _measure(detectors, split, outside)
    written = state / "preset"  # whole before it is seen
    shutil.rmtree(written, ignore_errors=True)
    written.mkdir()
    records = [row for name, report in reports.items() for row in report.records(weights=name, seed=settings.seed)]
    write_records(written / card.RESULTS, records)
    write_records(written / LOG, log.rows)
    plots.training_curves(log.history()).savefig(written / PICTURE)
    detector = detectors["trained"]
    detector.save_pretrained(
        written,
        name=folder.name,
        finetuned_from=_describe(source, original),
        transfer=str(moved),
        in_distribution={"title": title, "licence": licence, **_sizes(split)},
        settings=dataclasses.asdict(settings),
        training=_training(log),
        **_numbers(detector, reports),
    )
    card.write(written, folder.name)
    written.replace(folder)
    shutil.rmtree(state)
    return detector


def train(
    detector: Detector,
    split: Split,
    settings: Settings,
    state: Path,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
) -> tuple[Detector, TrainingLog]:
    """Return a detector trained on `split.training`, with its weights of the best loss on `split.validation`, and the log.

    It is not calibrated. What `state` holds of a training that was stopped is gone on with.

    Args:
        detector: Is trained.
        split: Images as `detector.preprocessing` gives them.
        settings: See `Settings`.
        state: A folder for what the training reaches: log, curves, best weights, and what is needed to go on.
        callbacks: Further ones of Keras.
        verbose: As in `keras.Model.fit`.
    """
    _claim(state, settings, detector, split)
    log = TrainingLog(state / LOG)
    states = Checkpoints(state / "epochs", log)
    stopping = EarlyStopping(log, monitor="val_loss", patience=settings.patience)
    if settings.freeze_encoder:
        detector.encoder.trainable = False
    optimizer = cosine_adam(settings.learning_rate, len(split.training), settings.batch_size, settings.epochs)
    detector.compile(optimizer=optimizer)
    done = states.restore(detector)
    if done < settings.epochs and not stopping.reached(detector):
        detector.fit(
            split.training,
            validation_data=(split.validation,),
            initial_epoch=done,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            verbose=verbose,
            callbacks=[log, states, stopping, *callbacks],
        )
    states.load_best(detector)
    if settings.freeze_encoder:
        detector.encoder.trainable = True
    return detector.inference_copy(), log


def _claim(state: Path, settings: Settings, detector: Detector, split: Split) -> None:
    """Let nothing go on with the training of other images or settings."""
    digest = hashlib.sha256()
    for part in (split.training, split.validation, *detector.get_weights()):
        digest.update(np.ascontiguousarray(part).tobytes())
    wanted = dataclasses.asdict(settings) | {"images_and_weights": digest.hexdigest()}
    path = state / _SETTINGS
    if path.exists():
        if (found := json.loads(path.read_text())) != wanted:
            other = {key: value for key, value in found.items() if wanted.get(key) != value}
            raise ValueError(
                f"A training goes on with the images and settings that it began with; remove {state} to begin anew. "
                f"Received: another value for {sorted(other)}"
            )
        return
    state.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(wanted, indent=2) + "\n")


def _check(source: Detector, settings: Settings) -> None:
    """Refuse before anything is read or trained what could not be finished."""
    if settings.freeze_encoder and not hasattr(source, "encoder"):
        raise ValueError(
            f"`freeze_encoder` takes a detector with an encoder, as a TiltedVAE. Received: {type(source).__name__}"
        )
    bare = source if source.background is None else type(source).from_config(source.get_config() | {"background": None})
    if source.default_score not in scores.available(bare, cheap=True):
        raise ValueError(
            f"Fine-tuning takes a detector whose default score is one of {scores.available(bare, cheap=True)}. "
            f"Received: {source.default_score!r}"
        )


def _calibrated(detector: Detector, gate: PerImageGate | None, encoder: Any, split: Split) -> Detector:
    """A detector with a gate like its source's on `encoder`, where that has one, calibrated with what the gate leaves."""
    images = split.calibration
    if gate is not None and isinstance(detector, InFlow):
        kept, images = images[0::2], images[1::2]
        components = min(gate.components, len(split.training) - 1)
        settings: dict[str, Any] = {"components": components, "alpha": max(gate.alpha, 1 / (len(kept) + 1)), "mode": gate.mode}
        detector = detector.with_attention(PerImageGate.from_images(encoder, split.training, kept, **settings))
    detector.calibrate(images)
    return detector


def _measure(detectors: Mapping[str, Detector], split: Split, given: Mapping[str, Any]) -> dict[str, Report]:
    levels = np.round(255 * split.test).astype(np.uint8)
    sets = {name: datasets.synthesize(name, levels) for name in applicable(levels.shape[1:])} | dict(given)
    methods = list(dict.fromkeys([detectors["trained"].default_score, "nll"]))
    return {
        name: evaluate(detector, split.test, sets, methods, resamples=100 if name == "trained" else 0)
        for name, detector in detectors.items()
    }


def _numbers(detector: Detector, reports: Mapping[str, Report]) -> dict[str, Any]:
    """What the card says beside the table: false alarms and what chance makes of them, AUROC of the default score, mean nll."""
    numbers = headline(detector, reports["trained"])
    alarms = numbers["false_positive_rate"]
    chance = detector.calibration().false_alarms(alarms["nominal"], alarms["images"]).interval(0.95)
    alarms["by_chance"] = [float(count) / alarms["images"] for count in chance]
    losses = {name: float(np.mean(report.statistics["in_distribution"]["nll"])) for name, report in reports.items()}
    return numbers | {"test_nll": {name: round(loss, 4) for name, loss in losses.items()}}


def _sizes(split: Split) -> dict[str, int]:
    parts = ("training", "validation", "calibration", "test")
    return {f"{part}_images": len(getattr(split, part)) for part in parts} | {"duplicates": split.duplicates}


def _describe(source: Any, original: Detector) -> str:
    if isinstance(source, Detector):
        return f"a {type(original).__name__} in memory"
    return Path(source).resolve().name if Path(source).is_dir() else str(source)


def _training(log: TrainingLog) -> dict[str, Any]:
    return {
        "epochs": len(log.rows),
        "best_epoch": log.best("val_loss"),
        "seconds": round(sum(row["seconds"] for row in log.rows), 1),
        "machine": describe_machine(),
    }
