"""A detector made of images that somebody uploads."""

import html
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np

from keras_ood.app import uploads
from keras_ood.app.session import Session, open_session
from keras_ood.encoders.embed import in_memory
from keras_ood.hub import preset
from keras_ood.images import Decoding
from keras_ood.images.preprocessing import Preprocessing
from keras_ood.terminal.progress import Report, begin, listening
from keras_ood.training.finetune import finetune
from keras_ood.training.settings import Settings
from keras_ood.training.start import ENCODER, as_encoder

LONGEST_TITLE = 60
UNTITLED = "my images"


def title_of(given: str, paths: Sequence[str]) -> str:
    """Return what images are called: as given, else as their .zip file, else `UNTITLED`."""
    stems = [Path(path).stem for path in paths if Path(path).suffix.lower() == ".zip"]
    return " ".join(given.split())[:LONGEST_TITLE] or (stems[0][:LONGEST_TITLE] if len(stems) == 1 else UNTITLED)


def folder_name(title: str) -> str:
    """Return a title as the name of a folder.

    >>> folder_name("Café, front/door"), folder_name("..")
    ('Café-front-door', 'my-images')
    """
    return re.sub(r"\W+", "-", title).strip("-_") or UNTITLED.replace(" ", "-")


def make(paths: Sequence[str], title: str, aspect: str, decoding: Decoding, folder: Path, report: Report) -> str:
    """Make a detector as `keras_ood.finetune` does from its default encoder; return what was made, in words (HTML).

    Beside its folder are left a .zip file of it, and its images at `images_of`. Nothing else is left on disk: no embeddings,
    no unpacked upload.

    Args:
        paths: See `keras_ood.app.uploads.read`.
        title: What the images are.
        aspect: What becomes of images whose sides have another ratio, see `keras_ood.finetune`.
        decoding: How files become images.
        folder: The new preset's folder, absent, in a folder of its own, which goes where there is an error.
        report: Function that is called as the work goes on.

    Raises:
        ValueError: Images that no detector can be made of.
    """
    encoder = as_encoder(ENCODER)
    assert encoder is not None, "it is the name of one"
    epochs = Settings().epochs
    epoch = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs=None: begin(f"Training, epoch {epoch + 1} of at most {epochs}")
    )
    try:
        with listening(report), TemporaryDirectory(dir=folder.parent) as temporary, in_memory():
            read = uploads.read(paths, decoding, Preprocessing(encoder.image_shape, aspect), Path(temporary))
            finetune(encoder, read.images, folder, aspect=aspect, title=title, callbacks=[epoch], verbose=0)
        np.save(images_of(folder), np.round(255 * read.images).astype(np.uint8))
        shutil.make_archive(str(folder), "zip", folder.parent, folder.name)
    except BaseException:
        shutil.rmtree(folder.parent)
        raise
    return f"{_words(preset.read(folder))} {read.words}"


def images_of(folder: str | Path) -> str:
    """Return the path of the array of images that a detector was made of."""
    return f"{folder}.npy"


def exists(folder: str | Path) -> bool:
    """Whether a detector was not deleted yet."""
    return (Path(folder) / preset.PRESET).is_file()


def session(folder: str, decoding: Decoding) -> Session:
    """Return the session of a detector that was made here, with its images.

    Raises:
        ValueError: The detector was deleted.
    """
    if not exists(folder):
        raise ValueError(
            f"A detector is deleted an hour after it was made; make it anew, or choose another. Received: {Path(folder).name}"
        )
    opened = open_session(folder, images_of(folder), "raise", decoding)
    with in_memory():
        opened.neighbours  # noqa: B018  # embedded here, once
    return opened


def _words(content: Mapping[str, Any]) -> str:
    """What was made, from its `preset.json`."""
    inside, alarms, auroc = content["in_distribution"], content["false_positive_rate"], content["auroc"]
    if "choice" in content:
        centres = content["choice"]["memory"]
        how = (
            f"{centres} {'centre' if centres == 1 else 'centres'}, chosen by cross-validation; each image is calibrated by a "
            "fit that has not seen it"
        )
    else:
        how = f"trained for {content['training']['epochs']} epochs, the best one kept"
    twice = f" {inside['duplicates']:,} left out that were there before." if inside["duplicates"] else ""
    sets = ", ".join(f"{name} {value:.3f}" for name, value in auroc.items())
    return (
        f"<b>{html.escape(inside['title'])}</b> is chosen at the top: try it in the tabs Images and Batch.<br>"
        f"A {content['family']} over {content['encoder']['title']}, fitted to {inside['training_images']:,} images, calibrated "
        f"on {inside['calibration_images']:,}: {how}.{twice}<br>"
        f"False alarms: {100 * alarms['measured']:.1f} % of {alarms['images']:,} images that it had not seen, "
        f"{100 * alarms['nominal']:g} % promised.<br>"
        f"AUROC against synthetic sets (0.5 is chance, 1 perfect): {sets}.<br>"
        f"Deleted after an hour: download it. Unzipped, <code>keras-ood app {content['name']}</code> opens it."
    )
