"""From an encoder or a pretrained detector and a set of one's own images to a calibrated, measured preset."""

import dataclasses
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras

from keras_ood import plots
from keras_ood.calibration.map_calibration import LEAST
from keras_ood.callbacks.log import TrainingLog
from keras_ood.cards import card
from keras_ood.encoders import FrozenEncoder, MixtureSpace
from keras_ood.encoders import names as encoder_names
from keras_ood.evaluation.evaluate import evaluate
from keras_ood.evaluation.report import Report
from keras_ood.hub import serialization
from keras_ood.models import Detector, FeatureMixture
from keras_ood.models.entrance import Entrance
from keras_ood.tables.records import writable, write_records
from keras_ood.terminal.folders import require_vacant
from keras_ood.terminal.progress import begin
from keras_ood.training.calibrated import calibrated
from keras_ood.training.few_images import FewImages
from keras_ood.training.measuring import by_chance, measured_sets, numbers, outside_sets
from keras_ood.training.own_images import OwnImages
from keras_ood.training.resumable import LOG, train
from keras_ood.training.settings import Settings
from keras_ood.training.split import Split, distinct
from keras_ood.training.start import ENCODER, Source, Start, check_family

PICTURE = "training.png"
FEW = 500  # images: from here on a split leaves a hundred for calibration
_MAPS = 1_000  # images that calibrate heat maps: each is looked at once more
_RESAMPLES = 100  # of the bootstrap, for the weights that are written


def finetune(
    source: Source,
    images: Any,
    folder: str | os.PathLike[str],
    *,
    family: str | None = None,
    settings: Settings | None = None,
    image_shape: tuple[int, int, int] | None = None,
    aspect: str | None = None,
    groups: Any = None,
    title: str = "images of one's own",
    licence: str = "not stated",
    out_of_distribution: Any = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
) -> Detector:
    """Return a detector made for in-distribution images, calibrated, measured and saved as a preset.

    From an encoder: of fewer than 500 different images, 30 at least, a `FeatureMixture`, cross-fitted, so that each image
    counts for the fit and for the calibration; of more a `TiltedVAE` over the encoder. The encoder itself stays as it is.

    From a detector: it is trained further. A background model is left behind.

    What is trained takes 100 images. They are cut in four (`keras_ood.training.split.Split`): training, validation, which says
    when to stop, calibration, and test, on which false alarms are counted. The weights of the best validation loss are kept. An
    InFlow's gate is fitted anew in its own encoder's features, on half of a calibration part twice as large: it takes 200.

    What a training reaches is kept beside `folder`, in `<folder>.training`, after every epoch: the same call goes on where a
    killed one was. The preset has a card, `results.csv` with the source recalibrated and the untrained network beside the
    trained one, and the curves of the training.

    Args:
        source: Name of an encoder, such as `"efficientnet-lite0"`, or a `FrozenEncoder`; a detector, or a handle as
            `from_pretrained` takes.
        images: In-distribution images, any accepted source: a folder of files of any size, an array, ... Over an encoder files
            and arrays are embedded once, on disk (`keras_ood.encoders.embed`); everything else is held in memory.
        folder: Folder of the new preset, absent or empty.
        family: From an encoder: `"FeatureMixture"`, `"TiltedVAE"` or `"InFlow"`; None for what suits the number of images.
        settings: None for the defaults of `Settings`.
        image_shape: `(height, width, channels)` of the new detector; None for the source's. See `keras_ood.models.transfer`.
        aspect: What becomes of images whose sides have another ratio, `"stretch"`, `"crop"` or `"pad"`, see
            `keras_ood.images.preprocessing.Preprocessing`; None for the source's, which of an encoder is `"stretch"`.
        groups: Images that belong together, so that none of them trains what others calibrate or measure: `"folder"` for files
            of one folder (one photograph, video, day or machine each), or labels, one an image; None: each stands alone. Crops
            of one photograph in several parts make p-values and card look far better than new photographs will.
        title: What the images are, for the card.
        licence: Licence of the images, for the card.
        out_of_distribution: What to measure on, as in `evaluate`, beside the synthetic sets, which are measured anyway and may
            be named.
        callbacks: Further callbacks of Keras.
        verbose: As in `keras.Model.fit`.

    Raises:
        ValueError: Too few images or groups, a setting or an out-of-distribution set that cannot be, or a training at
            `<folder>.training` of other images or settings.
        FileExistsError: `folder` holds something.
        OSError: `folder` cannot be written.
    """
    folder, settings = Path(folder).resolve(), settings or Settings()
    require_vacant(folder, "Fine-tuning writes a new preset, into")
    writable(folder.parent)
    check_family(family)
    keras.utils.set_random_seed(settings.seed)
    is_mixture = family == FeatureMixture.__name__
    start = Start.of(source, image_shape, aspect, None if is_mixture else family, settings)
    entrance = start.moved.detector.entrance
    outside = outside_sets(out_of_distribution, entrance)
    begin("Embedding the images" if start.from_encoder else "Reading the images")
    own = OwnImages(images, entrance, groups)
    state = folder.with_name(f"{folder.name}.training")
    said = {"name": folder.name, "finetuned_from": start.name, "settings": dataclasses.asdict(settings)}
    about = {"title": title, "licence": licence}
    if start.from_encoder and (is_mixture or (family is None and len(distinct(own.seen)) < FEW)):
        detector, written = _from_few(own, start, outside, state, said, about)
    else:
        detector, written = _trained(own, start, outside, state, said, about, settings, callbacks, verbose)
    card.write(written, folder.name)
    written.replace(folder)
    shutil.rmtree(state)
    return detector


def _from_few(
    own: OwnImages, start: Start, outside: Mapping[str, Any], state: Path, said: dict[str, Any], about: dict[str, Any]
) -> tuple[Detector, Path]:
    """A cross-fitted detector and the folder of its preset, without card."""
    space, preprocessing = start.moved.detector.feature_space, start.moved.detector.preprocessing
    places, seed = distinct(own.seen), said["settings"]["seed"]
    pixels = own.pixels(places[:FEW])  # what the synthetic sets are made from, and the untrained detector
    groups = own.groups[places]
    few = FewImages(space.encoder, preprocessing, own.seen[places], seed, groups)
    if len(pixels) >= LEAST:
        begin("Calibrating heat maps")
        few.detector.cross_fit_maps(pixels, progress=False)
    reports = {"trained": few.report(measured_sets(pixels, outside, few.detector.entrance), _RESAMPLES)}
    random = f"{space.encoder.network}-untrained"
    if random in encoder_names():
        begin("Comparing with an untrained encoder")
        encoder = FrozenEncoder(random, space.encoder.image_shape)
        untrained = Entrance(preprocessing, MixtureSpace(encoder))
        other = FewImages(encoder, preprocessing, untrained.embed(pixels), seed, groups[: len(pixels)])
        reports["untrained"] = other.report(measured_sets(pixels, outside, untrained), 0)
    measured = numbers(few.detector, reports)
    measured["false_positive_rate"]["measured"] = few.false_alarms()
    sizes = {"training_images": len(places), "calibration_images": len(places), "test_images": len(places)}
    sizes |= {"duplicates": len(own.seen) - len(places)} | own.number_of_groups()
    said |= {"transfer": f"centres: {few.memory}, fits: {few.detector.folds}", "in_distribution": about | sizes}
    written = _written(state, reports, seed)
    serialization.write(few.detector, written, said | few.provenance() | measured)
    return few.detector, written


def _trained(
    own: OwnImages,
    start: Start,
    outside: Mapping[str, Any],
    state: Path,
    said: dict[str, Any],
    about: dict[str, Any],
    settings: Settings,
    callbacks: Sequence[keras.callbacks.Callback],
    verbose: int | str,
) -> tuple[Detector, Path]:
    """A trained detector and the folder of its preset, without card."""
    split = Split.of(own.seen, settings.seed, 1 if start.original.gate is None else 2, own.groups if own.are_grouped else None)
    begin("Training")
    fresh = start.over(split.training)
    trained, log = train(fresh, split, settings, state, callbacks, verbose)
    begin("Calibrating")
    detectors = _all_calibrated(trained, fresh, start, split, settings.seed)
    reports = _measure(detectors, split, own, outside)
    detector = detectors["trained"]
    _calibrate_maps(detector, own, split)
    written = _written(state, reports, settings.seed)
    write_records(written / LOG, log.rows)
    plots.training_curves(log.history()).savefig(written / PICTURE)
    said |= {
        "transfer": "trained anew over the encoder" if start.from_encoder else str(start.moved),
        "in_distribution": about | _sizes(split) | own.number_of_groups(),
        "training": _note(log),
    }
    measured = numbers(detector, reports)
    measured["false_positive_rate"]["by_chance"] = by_chance(detector, measured["false_positive_rate"])
    serialization.write(detector, written, said | measured)
    return detector, written


def _note(log: TrainingLog) -> dict[str, Any]:
    return log.note() | {"best_epoch": log.best("val_loss")}


def _all_calibrated(trained: Detector, fresh: Detector, start: Start, split: Split, seed: int) -> dict[str, Detector]:
    """The trained detector; its source, where all weights were taken over; the untrained network: each calibrated alike."""
    gate = start.original.gate
    encoder = None if gate is None else gate.encoder
    detectors = {"trained": calibrated(trained, gate, encoder, split)}
    if start.is_comparable:
        detectors["source"] = calibrated(start.original.ungated().inference_copy(), gate, encoder, split)
    keras.utils.set_random_seed(seed)
    untrained = fresh.remade()
    untrained_encoder = None if encoder is None else keras.models.clone_model(encoder)
    detectors["untrained"] = calibrated(untrained, gate, untrained_encoder, split)
    return detectors


def _calibrate_maps(detector: Detector, own: OwnImages, split: Split) -> None:
    """Calibrate heat maps with the images that calibrate scores, where they are enough; at most 1,000."""
    places = split.calibration_places
    if detector.gate is not None:
        places = places[len(places) // 2 :]  # the others are the gate's
    if len(places) >= LEAST:
        begin("Calibrating heat maps")
        with suppress(NotImplementedError):  # of a family that does not say where an image is odd
            detector.calibrate_maps(own.pixels(places[:_MAPS]), progress=False)


def _measure(detectors: Mapping[str, Detector], split: Split, own: OwnImages, outside: Mapping[str, Any]) -> dict[str, Report]:
    detector = detectors["trained"]
    sets = measured_sets(own.pixels(split.test_places), outside, detector.entrance)
    methods = list(dict.fromkeys([detector.default_score, "nll"]))
    return {
        name: evaluate(one, split.test, sets, methods, resamples=_RESAMPLES if name == "trained" else 0)
        for name, one in detectors.items()
    }


def _written(state: Path, reports: Mapping[str, Report], seed: int) -> Path:
    """A folder for the preset, which is whole before it is seen, with the results in it."""
    begin("Saving")
    written = state / "preset"
    shutil.rmtree(written, ignore_errors=True)
    written.mkdir(parents=True)
    records = [row for name, report in reports.items() for row in report.records(weights=name, seed=seed)]
    write_records(written / card.RESULTS, records)
    return written


def _sizes(split: Split) -> dict[str, int]:
    parts = ("training", "validation", "calibration", "test")
    return {f"{part}_images": len(getattr(split, part)) for part in parts} | {"duplicates": split.duplicates}


__all__ = ["ENCODER", "FEW", "finetune"]
