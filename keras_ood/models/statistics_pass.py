"""Images streamed through one compiled pass."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_ood.backend.compiled import Pending, launch
from keras_ood.backend.devices import replicas, spread
from keras_ood.images.embeddings import Embeddings
from keras_ood.images.sources import convert, count_images, iterate_batches, one_ahead, opened, pad
from keras_ood.scores import Score
from keras_ood.terminal.numbers import is_whole
from keras_ood.terminal.progress import track_images


class StatisticsPass:
    """The way of images through a detector's networks: batches, padding, compilation, devices, progress.

    Args:
        detector: A `keras_ood.Detector`, whose `call` gives the statistics.
    """

    def __init__(self, detector: Any) -> None:
        self._detector = detector
        self._functions: dict[str, Callable[..., Any]] = {}
        self._names: tuple[str, ...] = ()

    def compiled_function(self, name: str, build: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
        """Return the function that `build` gave when it was first asked for under this name."""
        if name not in self._functions:
            self._functions[name] = build()
        return self._functions[name]

    def names(self) -> tuple[str, ...]:
        """Return the names of the statistics of a pass: of the first one, traced for them alone where there was none yet."""
        if not self._names:
            detector = self._detector
            self._names = tuple(detector.compute_output_spec(keras.KerasTensor((1, *detector.entrance.given_shape))))
        return self._names

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """Return what enters the detector of a batch of images, `(batch, *entrance.given_shape)`, float32."""
        return np.asarray(keras.ops.convert_to_numpy(self._detector.entrance.prepared(images)))

    def stream(
        self,
        images: Any,
        scores: Sequence[Score] = (),
        samples: int | None = None,
        seed: int = 0,
        batch_size: int = 256,
        progress: bool | None = None,
        look: Callable[[np.ndarray], None] | None = None,
        names: Collection[str] | None = None,
    ) -> Iterator[dict[str, np.ndarray]]:
        """Yield the statistics of one batch after the other; a batch is read and sent while the one before is computed.

        Args:
            images: Any accepted source.
            scores: Scores whose further statistics are measured too.
            samples: None for the deterministic pass; `k` for the mean over `k` stochastic passes.
            seed: Seed of the stochastic passes.
            batch_size: Images per pass.
            progress: Whether to show a bar, see `keras_ood.terminal.progress.track_images`.
            look: Called with each batch, images float32 `(n, *image_shape)` in 0..1, or embeddings.
            names: Statistics of the cheap pass that are asked for: no other is computed. None for all.

        Raises:
            ValueError: Images that are not accepted, or settings that do not go together.
        """
        detector = self._detector
        measuring = [score for score in scores if score.measures]
        if replicas() > 1 and any(score.transductive for score in measuring):
            given = [score.name for score in scores]
            raise ValueError(f"A transductive score takes one device, not data parallelism. Received: {given}")
        if not (samples is None or is_whole(samples, 1)):
            raise ValueError(f"`samples` must be None or a positive integer. Received: {samples!r}")
        if not is_whole(seed, 0):
            raise ValueError(f"`seed` must be an integer of at least 0. Received: {seed!r}")
        noise = None if samples is None else detector.draw_noise(samples, seed)
        entrance = detector.entrance
        entrance.ready()
        launched = self.compiled_function("statistics", lambda: launch(self._traced, detector))

        def start(batch: np.ndarray) -> tuple[np.ndarray, int, Pending]:
            batch = self._of_own_shape(batch)
            padded = pad(batch, batch_size)
            if look is not None:
                look(self._seen(batch))
            if measuring:
                padded = self.prepare(padded)
            return padded, len(batch), launched(entrance.sent(padded), noise, names)

        for prepared, length, pending in one_ahead(self._batches(images, batch_size, progress), start):
            values = pending()
            for score in measuring:
                seen = prepared[:length] if score.transductive else prepared
                values = values | score.measure(detector, seen, samples, seed)
            yield {name: np.asarray(value[:length], np.float32) for name, value in values.items()}

    def _traced(self, inputs: Any) -> dict[str, Any]:
        """The detector's pass, whose names are noted: of some of the values alone it is traced as a whole, too."""
        found: dict[str, Any] = self._detector(inputs)
        self._names = tuple(found)
        return found

    def maps(
        self,
        images: Any,
        batch_size: int,
        progress: bool | None = None,
        look: Callable[[np.ndarray], None] | None = None,
        scores: Callable[[Any], Any] | None = None,
    ) -> Iterator[np.ndarray]:
        """Yield maps, float32 `(n, h, w)`, of one batch after the other; see `stream`.

        Args:
            images: As in `stream`.
            batch_size: As in `stream`.
            progress: As in `stream`.
            look: As in `stream`.
            scores: What gives them, a method of the detector; None for `position_scores`.
        """
        detector = self._detector
        entrance = detector.entrance
        entrance.ready()
        scored = detector.position_scores if scores is None else scores
        launched = self.compiled_function(scored.__name__, lambda: launch(lambda one: {"map": scored(one)}, detector))

        def start(batch: np.ndarray) -> tuple[int, Pending]:
            batch = self._of_own_shape(batch)
            if look is not None:
                look(self._seen(batch))
            return len(batch), launched(entrance.closely(spread(pad(batch, batch_size))))

        for length, pending in one_ahead(self._batches(images, batch_size, progress), start):
            yield np.asarray(pending()["map"][:length], np.float32)

    def _batches(self, images: Any, batch_size: int, progress: bool | None) -> Iterator[np.ndarray]:
        count: int | None
        if isinstance(images, Embeddings):
            batches, count = self._detector.entrance.require(images).batches(batch_size), len(images)
        else:
            images = opened(images)
            batches, count = iterate_batches(images, batch_size, self._detector.preprocessing), count_images(images)
        return track_images(batches, count, progress)

    def _of_own_shape(self, batch: np.ndarray) -> np.ndarray:
        """Images of the detector's shape: the compiled pass sees no other."""
        if batch.ndim == 4 and batch.shape[1:] != self._detector.image_shape:
            return np.concatenate(list(convert(batch, self._detector.preprocessing)))
        return batch

    def _seen(self, batch: np.ndarray) -> np.ndarray:
        """Images float32 in 0..1, or embeddings."""
        return np.asarray(keras.ops.convert_to_numpy(self._detector.preprocessing(batch))) if batch.ndim == 4 else batch
