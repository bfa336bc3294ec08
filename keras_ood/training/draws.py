"""The batches of a self-supervised training."""

import keras
import numpy as np

from keras_ood.images.views import DRAWS

VIEWS = 2  # of each image


class Draws(keras.utils.PyDataset):  # type: ignore[misc]
    """Shuffled images beside what their views are drawn from, the batches of all epochs one after the other.

    A batch is `({"images": (batch, side, side, channels), "draws": (batch, 2, DRAWS), "turns": (batch,)}, turns)`. What does
    not fill a batch is left out of the epoch. The seed, the epoch and the batch's place alone decide it, whatever is read
    ahead: a training that goes on sees what it would have seen.

    Args:
        images: `(N, side, side, channels)`, float in 0..1.
        batch_size: Images of a batch.
        seed: Seed of the order, the turns and the draws.
        epochs: Which epochs.
    """

    def __init__(self, images: np.ndarray, batch_size: int, seed: int, epochs: range) -> None:
        super().__init__()
        self._images, self._batch_size, self._seed, self._epochs = images, batch_size, seed, epochs
        self.steps = len(images) // batch_size  # of an epoch

    def __len__(self) -> int:
        """The number of batches of all epochs."""
        return self.steps * len(self._epochs)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The batch at a place."""
        epoch, place = self._epochs[index // self.steps], index % self.steps
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._images))
        chosen = order[place * self._batch_size : (place + 1) * self._batch_size]
        generator = np.random.default_rng([self._seed, epoch, place])
        turns = generator.integers(4, size=len(chosen), dtype=np.int32)
        draws = generator.random((len(chosen), VIEWS, DRAWS), np.float32)
        return {"images": self._images[chosen], "draws": draws, "turns": turns}, turns
