"""Images of defects with masks, in the folders in which MVTec AD and VisA come."""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from keras_ood.images.aspect import Placement, check_aspect
from keras_ood.images.image_files import ImageFiles
from keras_ood.terminal.numbers import is_whole

GOOD = "good"
"""The kind of an image without a defect."""

_ANNOTATIONS, _SPLIT = "image_anno.csv", Path("split_csv", "1cls.csv")


@dataclass(frozen=True)
class MaskedImages:
    """The images of one category.

    Attributes:
        train: Files of clean images to train on; empty where the data set does not say which.
        test: Files of the test images.
        kinds: The kind of defect in each test image, `GOOD` where there is none.
        mask_files: The mask of each test image, None where there is no defect.
    """

    train: list[Path]
    test: list[Path]
    kinds: list[str]
    mask_files: list[Path | None]

    def masks(self, shape: tuple[int, int], aspect: str = "stretch") -> np.ndarray:
        """Return where the defects are, bool `(N, height, width)`, for the test images resized to `(height, width)`.

        A pixel shows a defect where the nearest one of the mask is above 0. A defect that lies between all these pixels keeps
        one, at its middle: an image with a defect never looks like one without.

        Args:
            shape: `(height, width)`.
            aspect: What becomes of another ratio of the sides, see `keras_ood.images.aspect.Placement`.

        Raises:
            ValueError: Another shape or rule, a mask of another size than its image or one that is 0 all over, or a defect that
                `"crop"` leaves nothing of.
        """
        check_aspect(aspect)
        if len(shape) != 2 or not all(is_whole(side, 1) for side in shape):
            raise ValueError(f"`shape` must be (height, width) in whole pixels. Received: {shape!r}")
        masks = np.zeros((len(self.test), *shape), bool)
        for mask, image, file in zip(masks, self.test, self.mask_files, strict=True):
            if file is not None:
                mask[:] = _placed(_mask(file, image), shape, aspect, file)
        return masks


def masked_images(folder: str | os.PathLike[str]) -> MaskedImages:
    """Return the training and test images of one category of MVTec AD or VisA, or of data kept in the same way.

    Two layouts are told apart by what the folder holds:

    - MVTec AD, and VisA as its own script prepares it: `train/good`, `test/KIND` and, for each kind but `good`,
      `ground_truth/KIND` with `NAME_mask.png` or `NAME.png` for the image `NAME`.
    - VisA as it is downloaded: `image_anno.csv` with the columns `image`, `label` and `mask`, whose paths begin with the
      category's name. The images to train on are those of `split_csv/1cls.csv` one folder up; without that file, all are test
      images.

    Args:
        folder: The folder of the category, such as `mvtec/bottle`.

    Raises:
        FileNotFoundError: No such folder, or an image with a defect that has no mask.
        ValueError: A folder in neither layout, a list without its columns, or no image in a folder of images.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"Expected the folder of one category. Received: {folder}")
    if (folder / _ANNOTATIONS).is_file():
        return _listed(folder)
    if (folder / "train" / GOOD).is_dir() and (folder / "test").is_dir():
        return _in_folders(folder)
    raise ValueError(
        f"Expected the folder of one category, with train/{GOOD} and test/KIND as in MVTec AD, or with {_ANNOTATIONS} as in "
        f"VisA. Received: {folder} with {sorted(path.name for path in folder.iterdir())}"
    )


def _in_folders(folder: Path) -> MaskedImages:
    made = MaskedImages(list(ImageFiles(folder / "train" / GOOD).paths), [], [], [])
    for kind in sorted(path for path in (folder / "test").iterdir() if path.is_dir() and not path.name.startswith(".")):
        masks = folder / "ground_truth" / kind.name
        for image in ImageFiles(kind).paths:
            found = [masks / f"{image.stem}_mask.png", masks / f"{image.stem}.png"]
            _add(made, image, kind.name, found)
    return made


def _listed(folder: Path) -> MaskedImages:
    split = folder.parent / _SPLIT
    rows = _rows(split, ("image", "split")) if split.is_file() else []
    train = {row["image"] for row in rows if row["split"] == "train"}
    made = MaskedImages([], [], [], [])
    for row in _rows(folder / _ANNOTATIONS, ("image", "label", "mask")):
        image, mask = (folder.joinpath(*PurePosixPath(row[column]).parts[1:]) for column in ("image", "mask"))
        if row["image"] in train:
            made.train.append(image)
        else:
            _add(made, image, GOOD if row["label"] == "normal" else row["label"], [mask])
    return made


def _add(made: MaskedImages, image: Path, kind: str, masks: Sequence[Path]) -> None:
    """Add a test image, with the first of the masks that is there."""
    mask = None if kind == GOOD else next((path for path in masks if path.is_file()), None)
    if mask is None and kind != GOOD:
        raise FileNotFoundError(
            f"An image of the kind {kind!r} needs its mask, {' or '.join(map(str, masks))}. Received: {image} without one"
        )
    made.test.append(image)
    made.kinds.append(kind)
    made.mask_files.append(mask)


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        names = reader.fieldnames or ()
        if not set(columns) <= set(names):
            raise ValueError(f"A list of images needs the columns {columns}. Received: {path} with {list(names)}")
        return list(reader)


def _mask(file: Path, image: Path) -> np.ndarray:
    with Image.open(image) as opened:
        size = opened.size
    with Image.open(file) as opened:
        levels = np.asarray(opened if len(opened.getbands()) == 1 else opened.convert("RGB"))
    mask = np.asarray((levels.reshape(*levels.shape[:2], -1) > 0).any(axis=-1))
    if mask.shape[::-1] != size or not mask.any():
        raise ValueError(
            f"A mask must have the size of its image, {size[0]}x{size[1]}, and a pixel above 0. Received: {file}, "
            f"{mask.shape[1]}x{mask.shape[0]} with {mask.sum()} such pixels"
        )
    return mask


def _placed(mask: np.ndarray, shape: tuple[int, int], aspect: str, file: Path) -> np.ndarray:
    place = Placement.of((mask.shape[0], mask.shape[1]), shape, aspect)
    top, left, rows, columns = place.window
    seen = mask[top : top + rows, left : left + columns]
    if not seen.any():
        raise ValueError(f"A defect must lie, in part, in what {aspect!r} leaves of its image. Received: {file}")
    return np.pad(_resized(seen, place.inner), place.margins)


def _resized(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    resized = np.asarray(Image.fromarray(mask).resize(shape[::-1], Image.Resampling.NEAREST))
    if resized.any():
        return resized
    rows, columns = np.nonzero(mask)
    middle = len(rows) // 2
    resized = np.zeros(shape, bool)
    resized[rows[middle] * shape[0] // mask.shape[0], columns[middle] * shape[1] // mask.shape[1]] = True
    return resized
