"""Somebody's own images, as a detector that is made for them sees them."""

from typing import Any

import numpy as np

from keras_ood.images.groups import group_labels
from keras_ood.images.image_files import ImageFiles
from keras_ood.images.sources import gather, opened
from keras_ood.models.entrance import Entrance
from keras_ood.training.split import Seen


class OwnImages:
    """In-distribution images of one's own: what the networks see of each, and some of them as pixels.

    For a detector of pixels all are held in memory. Over an encoder files and arrays are embedded once, on disk where that can
    be, so that memory grows by some hundred bytes an image; streams, and files read with all their frames, are held in memory.

    Args:
        images: Any accepted source.
        entrance: Of the detector that sees them.
        groups: See `keras_ood.images.groups.group_labels`.

    Attributes:
        seen: Prepared images, float32 `(N, *image_shape)`, or `Embeddings`.
        groups: A whole number an image, equal for those that belong together.
        are_grouped: Whether groups were given.

    Raises:
        ValueError: Images or groups that are not accepted.
    """

    def __init__(self, images: Any, entrance: Entrance, groups: Any = None) -> None:
        self._preprocessing = entrance.preprocessing
        given = source = opened(images)
        is_first_frames = isinstance(source, ImageFiles) and source.decoding.frames == "first"
        if entrance.feature_space is None or not (is_first_frames or hasattr(source, "shape")):
            source = gather(source, entrance.preprocessing)
        self._source = source
        self.seen: Seen = source if entrance.feature_space is None else entrance.embed(source)
        self.groups = group_labels(groups, given, len(self.seen))
        self.are_grouped = groups is not None

    def number_of_groups(self) -> dict[str, int]:
        """Return what the card says of groups, nothing where none were given."""
        return {"groups": len(np.unique(self.groups))} if self.are_grouped else {}

    def pixels(self, places: np.ndarray) -> np.ndarray:
        """Return some of the images as the preprocessing gives them, float32 `(n, *image_shape)` in 0..1."""
        if isinstance(self._source, ImageFiles):
            names = self._source.read_paths
            return gather(ImageFiles([names[place] for place in places], decoding=self._source.decoding), self._preprocessing)
        order = np.argsort(places)  # a file is read in its order
        return gather(self._source[places[order]], self._preprocessing)[np.argsort(order)]
