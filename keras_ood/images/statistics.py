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
    return images if octave == 1 else ops.average_pool(images, octave, octave, "valid", data_format="channels_last")


def _local_contrast(images: Any) -> Any:
    def mean_of_windows(values: Any) -> Any:
        return ops.average_pool(values, _WINDOW, 1, "valid", data_format="channels_last")

    variance = mean_of_windows(ops.square(images)) - ops.square(mean_of_windows(images))
    return ops.mean(ops.sqrt(ops.maximum(variance, 0.0)), axis=(1, 2, 3))
