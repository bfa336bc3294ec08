"""The batches of a self-supervised training."""

from typing import Any

import keras
import numpy as np

from keras_ood.images.views import DRAWS

VIEWS = 2  # of each image


class Draws(keras.utils.PyDataset):  # type: ignore[misc]
    """Shuffled images beside what their views are drawn from; what does not fill a batch is left out of the epoch.

    A batch is `({"images": (batch, side, side, channels), "draws": (batch, 2, DRAWS), "turns": (batch,)}, turns)`. The seed,
    the epoch and the batch's place alone decide it: a training that goes on sees what it would have seen.

    Args:
        images: `(N, side, side, channels)`, float in 0..1.
        batch_size: Images of a batch.
        seed: Seed of the order, the turns and the draws.
        epoch: Epochs that are done already.
    """

    def __init__(self, images: np.ndarray, batch_size: int, seed: int, epoch: int = 0) -> None:
        super().__init__()
        self._images, self._batch_size, self._seed = images, batch_size, seed
        self._begin(epoch)

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        return len(self._images) // self._batch_size

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The batch at a place of the epoch."""
        generator = np.random.default_rng([self._seed, self._epoch, index])
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        turns = generator.integers(4, size=len(chosen), dtype=np.int32)
        draws = generator.random((len(chosen), VIEWS, DRAWS), np.float32)
        return {"images": self._images[chosen], "draws": draws, "turns": turns}, turns

    def on_epoch_end(self) -> None:
        """Draw anew (called by Keras)."""
        self._begin(self._epoch + 1)

    def _begin(self, epoch: int) -> None:
        self._epoch = epoch
        self._order: Any = np.random.default_rng([self._seed, epoch]).permutation(len(self._images))
