"""Images that somebody uploads to have a detector made of them."""

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from keras_ood.app.archive import Archive
from keras_ood.app.omissions import omissions
from keras_ood.images import Decoding, ImageFiles
from keras_ood.images.formats import suffixes
from keras_ood.images.path_list import is_hidden
from keras_ood.images.preprocessing import Preprocessing
from keras_ood.images.sources import convert
from keras_ood.terminal.progress import begin, track_images
from keras_ood.training.few_images import MINIMUM

MOST_IMAGES = 2_000
"""They are held in memory, and other visitors wait."""

_MOST_NAMED = 5  # of files that cannot be read


class Uploaded(NamedTuple):
    """Images float32 `(N, *image_shape)` in 0..1, and a sentence on what was left out (HTML)."""

    images: np.ndarray
    words: str


def read(paths: Sequence[str], decoding: Decoding, preprocessing: Preprocessing, folder: Path) -> Uploaded:
    """Read images, or those of one .zip file; hidden files and those that are no images by name are left out.

    Args:
        paths: Image files, any number, or one .zip file.
        decoding: How files become images; the first frame is read.
        preprocessing: What the images are converted by.
        folder: Where an archive is unpacked meanwhile.

    Raises:
        ValueError: Fewer than 30 images that can be read, more than `MOST_IMAGES`, files that are gone, an archive beyond the
            limits of `Archive`.
    """
    archives = [path for path in paths if Path(path).suffix.lower() == ".zip"]
    if archives and len(paths) > 1:
        raise ValueError(f"Expected one .zip file, or images. Received: {len(archives)} .zip files among {len(paths)} files")
    if not archives:
        names = {Path(path): Path(path).name for path in paths}
        seen = {path: name for path, name in names.items() if not is_hidden(name)}
        images = {path: name for path, name in seen.items() if path.suffix.lower() in suffixes()}
        return _read(images, {}, len(seen) - len(images), decoding, preprocessing)
    archive = Archive(Path(archives[0]), decoding)
    _check_number(len(archive))
    with TemporaryDirectory(dir=folder) as unpacked:
        images = archive.unpack(Path(unpacked))
        return _read(images, archive.skipped, archive.left_out, decoding, preprocessing)


def _read(
    names: Mapping[Path, str], skipped: Mapping[str, str], left_out: int, decoding: Decoding, preprocessing: Preprocessing
) -> Uploaded:
    """The images of files, `{path: name}`, beside some that were left out before."""
    _check_number(len(names), _words(skipped, left_out))
    if gone := [name for path, name in names.items() if not path.is_file()]:
        named = ", ".join(gone[:_MOST_NAMED])
        raise ValueError(f"Uploaded files are deleted after an hour; drop them again. Received: {named}")
    paths = sorted(names, key=lambda path: (names[path].replace("/", "\0"), path))  # as those of a folder, whoever sent them
    files = ImageFiles(paths, "skip", decoding)
    size, rule = preprocessing.image_shape[:2], preprocessing.aspect
    begin("Reading")
    found = list(convert(_one_by_one(files.resized(size, rule), len(names)), preprocessing))
    broken = {names[path]: reason.replace(str(path), names[path]) for path, reason in files.skipped.items()}
    words = _words({**skipped, **broken}, left_out, files.frames_left_out)
    _check_number(sum(map(len, found)), words)
    return Uploaded(np.concatenate(found), html.escape(words))


def _check_number(images: int, words: str = "") -> None:
    """Refuse too few images or too many; the words are on others."""
    if not MINIMUM <= images <= MOST_IMAGES:
        raise ValueError(
            f"Expected {MINIMUM} to {MOST_IMAGES:,} different images that can be read, or a .zip file of them, with names that "
            f"end with one of {sorted(suffixes())}; `keras-ood finetune` takes more. Received: {images:,}. {words}".strip()
        )


def _one_by_one(images: Iterable[np.ndarray], total: int) -> Iterator[np.ndarray]:
    """The images, each of them told to who listens."""
    return (batch[0] for batch in track_images((image[None] for image in images), total, progress=False))


def _words(broken: Mapping[str, str], left_out: int, frames: int = 0) -> str:
    named = [f"{name} ({reason})" for name, reason in list(broken.items())[:_MOST_NAMED]]
    more = f" and {len(broken) - len(named):,} more" if len(broken) > len(named) else ""
    unreadable = [f"Could not be read, left out: {'; '.join(named)}{more}."] if broken else []
    return " ".join([*unreadable, *omissions(left_out, frames)])
