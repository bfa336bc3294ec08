"""Image files decoded in threads, ahead of who takes them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

import numpy as np
from PIL import Image

from keras_ood.backend.machine import usable_cores
from keras_ood.images.decoding import DECODING_ERRORS, Decoding, frames_of, grey_levels, opened_file, quiet
from keras_ood.images.resize_on_host import resize_on_host

THREADED = 1 << 16  # numbers of an image; a smaller one is decoded before a thread begins
MOST_THREADS = 8  # then the network is what a device waits for, and each holds a photo in memory
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP")  # whose decoders warn of nothing and release Python's lock


class ReadAhead:
    """The images of files at the size asked for; large ones are decoded and resized in threads.

    Headers are read in the thread that takes the images, since warnings are kept still for all threads at once or for none.
    What goes wrong in a thread is done again where the images are taken: there it has its turn, its words, and no warning.
    JPEG is decoded at its full size: `Image.draft`, even to 1/2 and fifteen times the size asked for, moves scores by more than
    1e-3 of their spread, since colours outside of RGB are cut off after the mean, not before (`benchmark/decoding-scores.csv`).
    At most two files for each thread are open. A context manager: leaving it closes them and ends the threads.

    Args:
        decoding: How files become images.
        paths: The files that will be asked for, in their order.
        size: `(height, width)` to which `resize_on_host` brings images.
        aspect: By which rule.
    """

    def __init__(self, decoding: Decoding, paths: Iterable[Path], size: tuple[int, int], aspect: str = "stretch") -> None:
        self._decoding = decoding
        self._resize = partial(resize_on_host, size=size, aspect=aspect)
        threads = min(usable_cores(), MOST_THREADS)
        self._pool = ThreadPoolExecutor(threads, "keras_ood-decode")
        self._ahead = 2 * threads
        self._paths = iter(paths)
        self._waiting: deque[_Begun | None] = deque()

    def __enter__(self) -> "ReadAhead":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)
        for begun in filter(None, self._waiting):
            begun.file.close()

    def images(self, path: Path, left_out: Callable[[int], None]) -> Iterator[np.ndarray]:
        """Yield the images of the next file, as `Decoding.images` does."""
        for following in self._paths:
            self._waiting.append(self._begin(following))
            if len(self._waiting) > self._ahead:
                break
        image = _image(self._waiting[0])
        self._waiting.popleft()  # only now: whoever interrupts the wait finds the file to close
        if image is not None:
            yield image
            return
        for image in self._decoding.images(path, left_out):
            yield self._resize(image)

    def _begin(self, path: Path) -> "_Begun | None":
        """Open a file of one image and have it decoded, where it is large; None where it has to wait for its turn."""
        with ExitStack() as files, suppress(*DECODING_ERRORS):
            image = files.enter_context(opened_file(path))
            most = self._decoding.most_pixels
            pixels = image.width * image.height
            if image.format not in _FORMATS or len(frames_of(image)) > 1 or (most is not None and pixels > most):
                return None
            with quiet():
                if "exif" in image.info:
                    image.getexif()  # which Pillow keeps
            levels = grey_levels(image)
            file = files.pop_all()
            decode = partial(self._decode, file, image, levels)
            if 3 * pixels > THREADED:
                return _Begun(file, self._pool.submit(decode).result)
            return _Begun(file, quiet()(decode))
        return None

    def _decode(self, file: ExitStack, image: Image.Image, levels: int) -> np.ndarray:
        with file:
            return self._resize(self._decoding.decode(image, levels))


@dataclass
class _Begun:
    """A file that is open until `result`, which waits for its image, has come back or raised."""

    file: ExitStack
    result: Callable[[], np.ndarray]


def _image(begun: _Begun | None) -> np.ndarray | None:
    """The image of a file; None where it has to be read once more."""
    if begun is None:
        return None
    try:
        return begun.result()
    except (*DECODING_ERRORS, Warning):
        return None
