"""Image sets packed as lossless WebP strips in a .npz file."""

import io
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

# What reading a damaged .npy or .npz file raises: NumPy, zipfile and zlib each have their own.
DAMAGED = (
    EOFError,
    IndexError,
    KeyError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_strips(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return `(images, labels)` of a packed set.

    The file holds `strips`, the bytes of WebP images end to end, cut at `ends`; each strip stacks images from top to
    bottom; `shape` is the shape of all images, `labels` are uint8 `(N,)`.

    Raises:
        ValueError: The file is not of this form, or damaged.
    """
    try:
        # Opened here: NumPy leaves a file open that turns out to be no zip.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            strips, ends, shape, labels = (file[key] for key in ("strips", "ends", "shape", "labels"))
        images = np.empty(shape, np.uint8)
        rows = images.reshape(-1, *shape[2:])
        start = row = 0
        for end in ends:
            with Image.open(io.BytesIO(strips[start:end].tobytes())) as strip:
                pixels = np.asarray(strip.convert("RGB") if len(shape) == 4 else strip.getchannel(0))
            rows[row : row + len(pixels)] = pixels
            start, row = end, row + len(pixels)
        if row != len(rows) or len(labels) != len(images):
            raise ValueError(f"{row} of {len(rows)} pixel rows, {len(labels)} labels for {len(images)} images")
    except DAMAGED as error:
        raise ValueError(f"Expected a .npz file with strips, ends, shape and labels. Received: {path} ({error})") from error
    return images, labels
