"""What images are accepted, and what is said of others."""

import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_ood.images.image_warning import ImageWarning

ACCEPTED = (
    "images as (batch, height, width, channels) with 1 or 3 channels, uint8 in 0..255 or float in 0..1, from a NumPy array, "
    "a tensor, a tf.data.Dataset, a keras.utils.PyDataset, a generator or list of batches, images, PIL images or paths, a "
    "dictionary with `images`, folders of image files, an image file or a .npy/.npz file"
)
_KEYS = ("images", "image")


def images_of(batch: Any) -> Any:
    """Return the images of a batch: of a tuple or list, images first and labels after, or of a dictionary with `images`.

    Raises:
        ValueError: A dictionary that names none.
    """
    if isinstance(batch, Mapping):
        for key in _KEYS:
            if key in batch:
                return batch[key]
        raise ValueError(f"A dictionary names its images {' or '.join(map(repr, _KEYS))}. Received: keys {list(batch)}")
    return batch[0] if isinstance(batch, (tuple, list)) and batch else batch


def has_images(batch: Any) -> bool:
    """Return whether a batch of a stream holds an image, or what is refused for another reason."""
    return getattr(images_of(batch), "shape", (1,))[:1] != (0,)


def check_images(images: Any) -> np.ndarray:
    """Return `images` as a NumPy array, uint8 or float32, or say what is wrong with them.

    Raises:
        ValueError: Wrong rank, channels, dtype or range, NaN or infinity, masked values, or no image at all.
    """
    array = _as_array(images)
    if array.ndim != 4:
        raise _refusal(f"an array of rank {array.ndim}, shape {array.shape}", _RANK.get(array.ndim, ""))
    if array.shape[-1] not in (1, 3) or 0 in array.shape[1:]:
        first = array.shape[1] in (1, 3)
        hint = "channels come last: `np.moveaxis(images, 1, -1)`" if first else _ALPHA if array.shape[-1] in (2, 4) else ""
        raise _refusal(f"{array.shape[-1]} channels, shape {array.shape}", hint)
    if len(array) == 0:
        raise _refusal(f"an empty batch, shape {array.shape}")
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        hint = "scale them to 0..1, or cast what lies in 0..255 to uint8" if array.dtype.kind in "iu" else ""
        raise _refusal(f"dtype {array.dtype}", hint)
    with np.errstate(over="ignore"):  # beyond float32 is infinite
        array = array.astype(np.float32, copy=False)
    low, high = array.min(), array.max()  # NaN in, NaN out
    if not (np.isfinite(low) and np.isfinite(high)):
        raise _refusal(f"{np.sum(~np.isfinite(array))} values that are NaN or infinite")
    if low < 0 or high > 1:
        hint = "divide by 255" if low >= 0 and 1 < high <= 255 else ""
        raise _refusal(f"floats from {low:g} to {high:g}", hint)
    return array


def warn_of_mask(images: np.ndarray) -> None:
    """Warn of uint8 images of 0 and 1 alone: they are nearly black, and were meant otherwise, masks perhaps."""
    if images.dtype == np.uint8 and images.max() == 1 and images.min() == 0:
        warnings.warn(
            f"The largest value of {len(images)} uint8 images is 1, where 255 is white: nearly black images. Masks of 0 and 1 "
            "are multiplied by 255, floats of 0..1 stay floats",
            ImageWarning,
            stacklevel=3,
        )


_ALPHA = "an alpha channel is for image files and PIL images, which are laid on a background"
_RANK = {
    3: "one image is `image[None]`, grey images without channels are `images[..., None]`; a dataset of single images is "
    "batched first",
    2: "an image without batch and channels is `image[None, ..., None]`",
}


def _as_array(images: Any) -> np.ndarray:
    if isinstance(images, np.ma.MaskedArray) and np.ma.is_masked(images):
        raise _refusal("an array with masked values", "fill them first")
    try:
        return np.asarray(keras.ops.convert_to_numpy(images) if keras.ops.is_tensor(images) else images)
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:  # ragged lists, sparse tensors, other devices
        raise _refusal(f"{type(images).__name__} that is no array ({error})") from error


def _refusal(received: str, hint: str = "") -> ValueError:
    return ValueError(f"Expected {ACCEPTED}.{f' Hint: {hint}.' if hint else ''} Received: {received}")
