"""Where images enter a detector."""

from typing import Any

import numpy as np

from keras_ood.backend.devices import spread
from keras_ood.backend.settings import under_own_settings
from keras_ood.encoders.embed import embed
from keras_ood.encoders.feature_space import FeatureSpace
from keras_ood.images.embeddings import Embeddings
from keras_ood.images.preprocessing import Preprocessing


class Entrance:
    """What the networks of a detector see of images: the pixels, or the whitened features of a frozen encoder.

    Over an encoder all methods that take images take their `keras_ood.encoders.Embeddings` too; inside, a batch of rank 4 is
    images, one of rank 2 the encoder's features.

    Args:
        preprocessing: The detector's `Preprocessing`.
        feature_space: None for pixels.
    """

    def __init__(self, preprocessing: Preprocessing, feature_space: FeatureSpace | None) -> None:
        self.preprocessing, self.feature_space = preprocessing, feature_space

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of what the networks see of one image."""
        return self.preprocessing.image_shape if self.feature_space is None else self.feature_space.event_shape

    @property
    def given_shape(self) -> tuple[int, ...]:
        """Shape of what enters at one image's place once it was looked at: `prepare`."""
        return self.preprocessing.image_shape if self.feature_space is None else (self.feature_space.encoder.width,)

    def prepared(self, images: Any) -> Any:
        """Return what enters, `(batch, *given_shape)`, of raw or prepared images; tensors."""
        if self.feature_space is None:
            return self.preprocessing(images)
        return self.feature_space.embed(self._of_own_shape(images))

    @under_own_settings
    def sent(self, batch: np.ndarray) -> Any:
        """Return a batch as a detector's compiled pass takes it: images as they are, or the features that an encoder gives.

        What gives them is compiled once for all detectors over the encoder, see `keras_ood.encoders.registry.Network`.
        """
        return spread(batch) if self.feature_space is None else self.prepared(spread(batch))

    @under_own_settings
    def closely(self, images: Any) -> Any:
        """Return what scores at positions are made of, of raw or prepared images; tensors.

        The prepared images; over an encoder what its feature space gives, see `keras_ood.encoders.FeatureSpace.closely`.
        """
        seen = self._of_own_shape(images)
        return seen if self.feature_space is None else self.feature_space.closely(seen)

    def _of_own_shape(self, images: Any) -> Any:
        return images if len(images.shape) == 2 else self.preprocessing(images)

    def event(self, prepared: Any) -> Any:
        """Return what the networks see, `(batch, *event_shape)`, of what entered; tensors."""
        return prepared if self.feature_space is None else self.feature_space(prepared)

    def look(self, images: Any) -> Any:
        """Return what the networks see, `(batch, *event_shape)`, of raw or prepared images; tensors."""
        return self.event(self.prepared(images))

    def ready(self) -> None:
        """Build what is built once, outside of any compiled pass.

        Raises:
            RuntimeError: The encoder's package is not installed.
            ValueError: The encoder has other weights, or its features were never whitened.
        """
        if self.feature_space is not None:
            self.feature_space.encoder.ready()
            if not self.feature_space.fitted:
                raise ValueError(
                    "The features of an encoder are whitened by in-distribution images first: `fit` the detector to an array, "
                    "a list, files or embeddings, or its `feature_space`. Received: a detector that has seen no image"
                )

    def require(self, embeddings: Embeddings) -> Embeddings:
        """Return embeddings that belong to this entrance.

        Raises:
            ValueError: They are of other features, or images were asked for.
        """
        if self.feature_space is None:
            raise ValueError(f"This detector looks at pixels: it takes images. Received: embeddings of {embeddings.encoder}")
        self.feature_space.require(embeddings)
        given = embeddings.encoder.get("given_shape"), embeddings.encoder.get("aspect", "stretch")
        wanted = list(self.preprocessing.image_shape), self.preprocessing.aspect
        if given != wanted:
            raise ValueError(
                f"Embeddings must be those of images of the detector's shape and rule {wanted}. "
                f"Received: embeddings of images of {given}"
            )
        return embeddings

    def as_embeddings(self, features: np.ndarray) -> Embeddings:
        """Return features that `embed` gave, `(N, *given_shape)`, as embeddings again."""
        shape, aspect = list(self.preprocessing.image_shape), self.preprocessing.aspect
        return Embeddings(features, self.feature_space.encoder.identity | {"given_shape": shape, "aspect": aspect})  # type: ignore[union-attr]

    def embed(self, images: Any, **options: Any) -> Embeddings:
        """Return the embeddings of images as this detector sees them, see `keras_ood.encoders.embed`.

        Raises:
            ValueError: The detector looks at pixels.
        """
        if isinstance(images, Embeddings):
            return self.require(images)
        if self.feature_space is None:
            raise ValueError("This detector looks at pixels: there is nothing to embed. Received: a detector without encoder")
        preprocessing, encoder = self.preprocessing, self.feature_space.encoder
        return embed(images, encoder, preprocessing.image_shape, aspect=preprocessing.aspect, **options)
