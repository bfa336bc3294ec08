"""From a pretrained detector and a set of one's own images to a calibrated, measured preset."""

import dataclasses
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_ood import datasets, plots, scores
from keras_ood.attention import PerImageGate
from keras_ood.callbacks.log import TrainingLog
from keras_ood.cards import card
from keras_ood.datasets.named import named_images, named_sets
from keras_ood.datasets.synthetic import SYNTHETIC, applicable
from keras_ood.encoders.feature_space import IMAGES_EACH, FeatureSpace
from keras_ood.evaluation.evaluate import evaluate, headline
from keras_ood.evaluation.report import Report
from keras_ood.hub import serialization
from keras_ood.images.checks import check_images
from keras_ood.images.sources import gather
from keras_ood.loading import from_pretrained
from keras_ood.models import Detector, Transfer, transfer
from keras_ood.tables.records import writable, write_records
from keras_ood.training.resumable import LOG, train
from keras_ood.training.settings import Settings
from keras_ood.training.split import Split

PICTURE = "training.png"


def finetune(
    source: Detector | str | os.PathLike[str],
    images: Any,
    folder: str | os.PathLike[str],
    *,
    settings: Settings | None = None,
    image_shape: tuple[int, int, int] | None = None,
    title: str = "images of one's own",
    licence: str = "not stated",
    out_of_distribution: Any = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
) -> Detector:
    """Return a pretrained detector trained further on in-distribution images, calibrated, measured and saved as a preset.

    The images are cut in four (`keras_ood.training.split.Split`): training, validation, which says when to stop, calibration,
    and test, on which false alarms are counted. The weights of the best validation loss are kept. An InFlow's gate is fitted
    anew in its own encoder's features, on half of a calibration part twice as large. A background model is left behind.

    What a training reaches is kept beside `folder`, in `<folder>.training`, after every epoch: the same call goes on where a
    killed one was. The preset has a card, `results.csv` with the source recalibrated and the untrained network beside the
    fine-tuned one, and the curves of the training.

    Args:
        source: A detector, or a handle as `from_pretrained` takes.
        images: In-distribution images, any accepted source: a folder of files of any size, an array, ...; held in memory.
        folder: Folder of the new preset, absent or empty.
        settings: None for the defaults of `Settings`.
        image_shape: `(height, width, channels)` of the new detector; None for the source's. See `keras_ood.models.transfer`.
        title: What the images are, for the card.
        licence: Licence of the images, for the card.
        out_of_distribution: What to measure on, as in `evaluate`, beside the synthetic sets, which are measured anyway and may
            be named.
        callbacks: Further callbacks of Keras.
        verbose: As in `keras.Model.fit`.

    Raises:
        ValueError: Too few images, a setting or an out-of-distribution set that cannot be, or a training at `<folder>.training`
            of other images or settings.
        FileExistsError: `folder` holds something.
        OSError: `folder` cannot be written.
    """
    folder, settings = Path(folder).resolve(), settings or Settings()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise FileExistsError(f"Fine-tuning writes a new preset, into a folder that is absent or empty. Received: {folder}")
    writable(folder.parent)
    original = source if isinstance(source, Detector) else from_pretrained(source)
    _check(original, settings)
    keras.utils.set_random_seed(settings.seed)
    moved = transfer(original, image_shape)
    outside = _outside(out_of_distribution, moved.detector)
    split = Split.of(
        gather(images, moved.detector.preprocessing), settings.seed, calibrations=1 if original.gate is None else 2
    )
    if moved.detector.feature_space is not None:
        moved = dataclasses.replace(moved, detector=_over_own_features(moved.detector, split.training))
    state = folder.with_name(f"{folder.name}.training")
    trained, log = train(moved.detector, split, settings, state, callbacks, verbose)
    detectors = _calibrated(trained, original, moved, split, settings.seed)
    written = state / "preset"  # whole before it is seen
    shutil.rmtree(written, ignore_errors=True)
    written.mkdir()
    _write(
        written,
        detectors,
        _measure(detectors, split, outside),
        settings,
        log,
        name=folder.name,
        finetuned_from=_describe(source, original),
        transfer=str(moved),
        in_distribution={"title": title, "licence": licence, **_sizes(split)},
    )
    written.replace(folder)
    shutil.rmtree(state)
    return detectors["trained"]


def _over_own_features(detector: Detector, training: np.ndarray) -> Detector:
    """The detector over its encoder's features as these images fill them, with as large a memory as they allow."""
    space = detector.feature_space
    memory = max(1, min(space.memory, len(training) // IMAGES_EACH))
    own = FeatureSpace(space.encoder, space.stages, memory).fit(detector.entrance.embed(training))
    return detector.with_feature_space(own)


def _check(source: Detector, settings: Settings) -> None:
    """Refuse before anything is read or trained what could not be finished."""
    if settings.freeze_encoder and source.encoder is None:
        raise ValueError(
            f"`freeze_encoder` takes a detector with an encoder, as a TiltedVAE. Received: {type(source).__name__}"
        )
    if source.feature_space is not None and source.gate is not None:
        raise ValueError(
            "Over an encoder fine-tuning takes a detector without gate: `ungated()` of one that has. "
            f"Received: a gated {type(source).__name__} over {source.feature_space.encoder.network!r}"
        )
    bare = source if source.background is None else source.remade(background=None)
    if source.default_score not in scores.available(bare, cheap=True):
        raise ValueError(
            f"Fine-tuning takes a detector whose default score is one of {scores.available(bare, cheap=True)}. "
            f"Received: {source.default_score!r}"
        )


def _outside(given: Any, detector: Detector) -> dict[str, Any]:
    """The sets to measure on beside the synthetic ones, looked at before anything is trained; several networks read them."""
    sets = {} if given is None or given == {} else named_sets(given)
    own = applicable(detector.image_shape)
    made = {name: images for name, images in sets.items() if isinstance(images, str) and images in SYNTHETIC}
    wrong = [name for name in sets if (name in SYNTHETIC and made.get(name) != name) or made.get(name, own[0]) not in own]
    if wrong:
        raise ValueError(
            f"The synthetic sets {own} are measured anyway, under their names: other sets need other names. Received: {wrong}"
        )
    outside = {}
    for name, images in sets.items():
        if isinstance(images, Iterator):
            images = gather(images, detector.preprocessing)
        elif name not in made:
            images = named_images(images)
        if name not in SYNTHETIC:
            outside[name] = check_images(images) if isinstance(images, (np.ndarray, list)) else images
    return outside


def _calibrated(trained: Detector, original: Detector, moved: Transfer, split: Split, seed: int) -> dict[str, Detector]:
    """The fine-tuned detector; its source, where all weights were taken over; the untrained network: each calibrated alike."""
    encoder = None if original.gate is None else original.gate.encoder
    detectors = {"trained": _calibrate(trained, original.gate, encoder, split)}
    if moved.share == 1 and not moved.converted:
        detectors["source"] = _calibrate(original.inference_copy(), original.gate, encoder, split)
    keras.utils.set_random_seed(seed)
    fresh = moved.detector.remade()
    fresh_encoder = None if encoder is None else keras.models.clone_model(encoder)
    detectors["untrained"] = _calibrate(fresh, original.gate, fresh_encoder, split)
    return detectors


def _calibrate(detector: Detector, gate: PerImageGate | None, encoder: Any, split: Split) -> Detector:
    """A detector calibrated with what its gate leaves: the source's gate, where there is one, fitted anew on `encoder`."""
    images = split.calibration
    if gate is not None:
        kept, images = images[0::2], images[1::2]
        detector = detector.with_attention(gate.refitted(encoder, split.training, kept))
    detector.calibrate(images)
    return detector


def _measure(detectors: Mapping[str, Detector], split: Split, given: Mapping[str, Any]) -> dict[str, Report]:
    levels = np.round(255 * split.test).astype(np.uint8)
    sets = {name: datasets.synthesize(name, levels) for name in applicable(levels.shape[1:])}
    sets |= {name: named_images(images, levels) for name, images in given.items()}
    methods = list(dict.fromkeys([detectors["trained"].default_score, "nll"]))
    return {
        name: evaluate(detector, split.test, sets, methods, resamples=100 if name == "trained" else 0)
        for name, detector in detectors.items()
    }


def _write(
    folder: Path,
    detectors: Mapping[str, Detector],
    reports: Mapping[str, Report],
    settings: Settings,
    log: TrainingLog,
    **provenance: Any,
) -> None:
    """Write the fine-tuned detector as a preset: results, curves of the training, weights, card."""
    records = [row for name, report in reports.items() for row in report.records(weights=name, seed=settings.seed)]
    write_records(folder / card.RESULTS, records)
    write_records(folder / LOG, log.rows)
    plots.training_curves(log.history()).savefig(folder / PICTURE)
    detector = detectors["trained"]
    measured = _numbers(detector, reports)
    training = {"settings": dataclasses.asdict(settings), "training": log.note() | {"best_epoch": log.best("val_loss")}}
    serialization.write(detector, folder, provenance | training | measured)
    card.write(folder, provenance["name"])


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
