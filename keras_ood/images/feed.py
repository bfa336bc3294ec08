"""What Keras trains on, each batch checked before it is."""

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from keras_ood.images.checks import ACCEPTED, check_images, has_images, images_of, warn_of_mask
from keras_ood.images.image_files import ImageFiles
from keras_ood.images.sources import gather, is_endless, opened

_ONCE = "a generator is read once: take what can be read in every epoch, or `{steps}` with a generator that goes on for ever"


class Feed:
    """Sources of images as the data that `keras.Model` takes: batches `(images,)` of the size of the networks.

    Arrays, files and lists are checked and converted in memory. What streams is checked and converted batch by batch, before
    any is trained on. Labels are left out; weights of samples are refused.

    Args:
        preprocess: The detector's `Preprocessing`.
        given_shape: Shape of what enters the detector at an image's place; `(features,)` where embeddings are taken too.
    """

    def __init__(self, preprocess: Any, given_shape: tuple[int, ...]) -> None:
        self._preprocess = preprocess
        self._shape = tuple(preprocess.image_shape)
        self._features = given_shape if len(given_shape) == 1 else None
        self._refused: Exception | None = None
        self._runs_out = False

    def open(self, source: Any, epochs: int = 1, steps: int | None = None, steps_name: str = "steps") -> Any:
        """Return the data for Keras: an array, a `PyDataset`, a `tf.data.Dataset` or a generator.

        Args:
            source: Any accepted source; an endless one with `steps`. A tuple is images and labels.
            epochs: Number of passes that will be made.
            steps: Number of batches of each pass, None for all.
            steps_name: Name of the option that says so.

        Raises:
            ValueError: Images that are not accepted, as far as they are at hand; a source that cannot be passed so often.
        """
        if isinstance(source, tuple) and _is_labelled(source):
            source = self._without_weights(source)
        if isinstance(source, Mapping) and "noise" in source:
            raise ValueError(
                "Noise is for a call of the model; `statistics(samples=...)` draws its own. Received: a dictionary with noise"
            )
        if is_endless(source):
            if steps is None:
                raise ValueError(f"An endless source takes `{steps_name}`. Received: {type(source).__name__}")
        else:
            source = opened(source)
        if isinstance(source, keras.utils.PyDataset):
            return _Indexed(source, self._prepare)
        if hasattr(source, "element_spec"):
            return self._mapped(source)
        if isinstance(source, Iterator):
            if epochs > 1 and steps is None:
                raise ValueError(f"{_ONCE.format(steps=steps_name)}. Received: {type(source).__name__}, {epochs} epochs")
            self._runs_out = steps is None
            return self._generated(source)
        if isinstance(source, (list, tuple, ImageFiles)):
            return gather(source, self._preprocess)
        if self._are_features(source):
            return source
        if hasattr(source, "shape"):
            images = check_images(source)
            warn_of_mask(images)
            return self._fit(images, lambda images: gather(images, self._preprocess))
        if isinstance(source, Iterable) and hasattr(source, "__len__"):
            return _Repeated(source, self._prepare)
        raise ValueError(f"Expected {ACCEPTED}. Received: {type(source).__name__}")

    def check(self, images: Any) -> np.ndarray:
        """Return one batch, checked and of the size of the networks."""
        if self._are_features(images):
            return np.asarray(images, np.float32)
        return self._fit(check_images(images), lambda batch: keras.ops.convert_to_numpy(self._preprocess(batch)))

    def _are_features(self, batch: Any) -> bool:
        return self._features is not None and tuple(getattr(batch, "shape", ()))[1:] == self._features

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what was said of a batch in place of what Keras makes of it."""
        with warnings.catch_warnings():
            if self._runs_out:  # of which Keras warns
                warnings.filterwarnings("ignore", "Your input ran out of data")
            try:
                yield
            except Exception:
                if self._refused is not None:
                    raise self._refused from None
                raise

    def _fit(self, images: np.ndarray, convert: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        return images if images.shape[1:] == self._shape else convert(images)

    def _prepare(self, batch: Any) -> np.ndarray:
        try:
            return self.check(self._without_weights(batch))
        except ValueError as error:
            self._refused = self._refused or error  # what is read ahead may be refused too
            raise

    @staticmethod
    def _without_weights(batch: Any) -> Any:
        if isinstance(batch, tuple) and len(batch) > 2 and batch[2] is not None:
            raise ValueError(
                "A detector weighs all images alike: batches are images, or images and labels. Received: sample weights"
            )
        return images_of(batch)

    def _mapped(self, dataset: Any) -> Any:
        """A `tf.data.Dataset` whose elements are prepared as they come."""
        import tensorflow as tf

        def prepare(*element: Any) -> Any:
            images = self._without_weights(element if len(element) > 1 else element[0])
            as_it_is = images.dtype == tf.uint8 and images.shape.rank == 4 and tuple(images.shape[1:]) == self._shape
            dtype = np.uint8 if as_it_is else np.float32
            prepared = tf.numpy_function(lambda batch: self._prepare(batch).astype(dtype, copy=False), [images], dtype)
            prepared.set_shape((None, *self._shape))
            return (prepared,)

        return dataset.map(prepare)

    def _generated(self, batches: Iterable[Any]) -> Iterator[tuple[np.ndarray]]:
        return ((self._prepare(batch),) for batch in batches if has_images(batch))


def _is_labelled(source: tuple[Any, ...]) -> bool:
    """Whether a tuple is images alone or with labels, and weights of samples, not several images or batches."""
    if len(source) == 1:
        return True
    return _rank(source[0]) == 4 and len(source) < 4 and all(other is None or 0 < _rank(other) < 3 for other in source[1:])


def _rank(value: Any) -> int:
    return len(getattr(value, "shape", ()))


class _Indexed(keras.utils.PyDataset):  # type: ignore[misc]
    """A `PyDataset` whose batches are prepared; its workers are threads."""

    def __init__(self, dataset: Any, prepare: Callable[[Any], np.ndarray]) -> None:
        super().__init__(workers=dataset.workers, max_queue_size=dataset.max_queue_size)
        self._dataset, self._prepare = dataset, prepare

    @property
    def num_batches(self) -> int | None:
        """Number of batches, None of an endless one."""
        return self._dataset.num_batches  # type: ignore[no-any-return]

    def __getitem__(self, index: int) -> tuple[np.ndarray]:
        """A batch by its number."""
        return (self._prepare(self._dataset[index]),)

    def on_epoch_begin(self) -> None:
        """Tell the dataset (called by Keras)."""
        self._dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tell the dataset (called by Keras)."""
        self._dataset.on_epoch_end()


class _Repeated(keras.utils.PyDataset):  # type: ignore[misc]
    """What can be iterated over and over, as torch's `DataLoader`, asked for its batches in their order."""

    def __init__(self, batches: Any, prepare: Callable[[Any], np.ndarray]) -> None:
        super().__init__()
        self._batches, self._prepare = batches, prepare
        self._iterator, self._next = iter(batches), 0

    @property
    def num_batches(self) -> int:
        """Number of batches."""
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[np.ndarray]:
        """A batch by its number; Keras looks at some before it begins with the first one."""
        if index < self._next:
            self._iterator, self._next = iter(self._batches), 0
        batch = next(itertools.islice(self._iterator, index - self._next, None))
        self._next = index + 1
        return (self._prepare(batch),)
