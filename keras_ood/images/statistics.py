"""What an image is like, whatever a model thinks of it."""

from typing import Any

from keras import ops

OCTAVES = (1, 2, 4)
_WINDOW = 3  # pixels


def image_statistics(images: Any) -> dict[str, Any]:
    """Return statistics, `(batch,)` each, of images `(batch, height, width, channels)` in 0..1.

    - `brightness`: the mean over all pixels and channels.
    - `saturation`: the mean over the pixels of the standard deviation of their channels (RGB alone).
    - `local_contrast`: the mean over all 3x3 windows and channels of the standard deviation of their pixels;
      `local_contrast_2`, `local_contrast_4`: the same of the image shrunk by 2 and by 4, where it is large enough.
    """
    statistics = {"brightness": ops.mean(images, axis=(1, 2, 3))}
    if images.shape[-1] == 3:
        statistics["saturation"] = ops.mean(ops.std(images, axis=-1), axis=(1, 2))
    for octave in octaves(images.shape[1:]):
        statistics[octave_name("local_contrast", octave)] = _local_contrast(shrink(images, octave))
    return statistics


def octaves(image_shape: tuple[int, ...]) -> list[int]:
    """Return the factors by which an image can shrink and still hold a window."""
    return [octave for octave in OCTAVES if min(image_shape[0], image_shape[1]) // octave >= _WINDOW]


def octave_name(name: str, octave: int) -> str:
    """Return the name of a statistic of an image shrunk by `octave`."""
    return name if octave == 1 else f"{name}_{octave}"


def shrink(images: Any, octave: int) -> Any:
    """Return `(batch, height, width, channels)` images averaged over squares of side `octave`."""
    if octave == 1:
        return images
    # Sums and reshapes, here and below: without oneDNN, TensorFlow pools few channels at a crawl.
    height, width, channels = images.shape[1] // octave, images.shape[2] // octave, images.shape[3]
    whole = images[:, : height * octave, : width * octave]
    rows = ops.mean(ops.reshape(whole, (-1, height, octave, width * octave * channels)), axis=2)
    return ops.mean(ops.reshape(rows, (-1, height, width, octave, channels)), axis=3)


def _local_contrast(images: Any) -> Any:
    channels = images.shape[3]
    rows = ops.reshape(images, (-1, images.shape[1], images.shape[2] * channels))  # one long axis: compilers vectorise it
    variance = _means_of_windows(ops.square(rows), channels) - ops.square(_means_of_windows(rows, channels))
    return ops.mean(ops.sqrt(ops.maximum(variance, 0.0)), axis=(1, 2))


def _means_of_windows(rows: Any, channels: int) -> Any:
    """Means over all windows of `(batch, height, width * channels)` images."""
    height, width = rows.shape[1] - _WINDOW + 1, rows.shape[2] - (_WINDOW - 1) * channels
    sums = sum(rows[:, first : first + height] for first in range(_WINDOW))
    return sum(sums[:, :, first * channels : first * channels + width] for first in range(_WINDOW)) / _WINDOW**2
