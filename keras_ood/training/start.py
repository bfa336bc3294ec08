"""What a detector of somebody's own images starts from."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_ood import encoders, scores
from keras_ood.attention import PerImageGate
from keras_ood.encoders.feature_space import IMAGES_EACH, FeatureSpace
from keras_ood.encoders.frozen_encoder import FrozenEncoder
from keras_ood.images.embeddings import Embeddings
from keras_ood.loading import from_pretrained
from keras_ood.models import Detector, FeatureMixture, InFlow, TiltedVAE, Transfer, transfer
from keras_ood.terminal.names import did_you_mean
from keras_ood.training.settings import Settings

ENCODER = "efficientnet-lite0"
"""What to start from where nobody says otherwise."""

TRAINED = ("TiltedVAE", "InFlow")
"""Families that are trained over an encoder."""

Source = Detector | FrozenEncoder | str | os.PathLike[str]


@dataclass(frozen=True)
class Start:
    """A detector before it has seen the images that it is for.

    Attributes:
        original: The detector that it comes from; untrained, where that is an encoder alone.
        moved: That detector for images of the shape that was asked for.
        name: What the card calls the source.
        from_encoder: Whether an encoder alone is the source.
    """

    original: Detector
    moved: Transfer
    name: str
    from_encoder: bool = False

    @classmethod
    def of(
        cls,
        source: Source,
        image_shape: tuple[int, int, int] | None,
        aspect: str | None,
        family: str | None,
        settings: Settings,
    ) -> "Start":
        """Return the start from an encoder, or from a detector; nothing is trained, no image read.

        Raises:
            ValueError: A family with a detector, or what could not be finished.
        """
        encoder = as_encoder(source)
        if encoder is not None:
            made = _fresh(encoder, image_shape or encoder.image_shape, aspect or "stretch", family or TRAINED[0])
            names = tuple(weight.path for weight in made.trainable_variables)
            return cls(made, Transfer(made.ungated(), (), (), names, 0.0), encoder.network, from_encoder=True)
        if family is not None:
            raise ValueError(f"`family` is for an encoder of {encoders.names()}: a detector has its own. Received: {family!r}")
        original = source if isinstance(source, Detector) else from_pretrained(source)
        _check(original, settings)
        return cls(original, transfer(original, image_shape, aspect), _describe(source, original))

    def over(self, training: Any) -> Detector:
        """Return the detector to train: over an encoder in its features as these images fill them."""
        detector, space = self.moved.detector, self.moved.detector.feature_space
        if space is None:
            return detector
        assert isinstance(training, Embeddings), "what a detector over an encoder sees"
        memory = max(1, min(space.memory, len(training) // IMAGES_EACH))
        return detector.with_feature_space(type(space)(space.encoder, space.stages, memory).fit(training))

    @property
    def is_comparable(self) -> bool:
        """Whether the source itself can stand beside what it becomes: it sees the same images with the same weights."""
        before, after = self.original.preprocessing, self.moved.detector.preprocessing
        same = (before.image_shape, before.aspect) == (after.image_shape, after.aspect)
        return not self.from_encoder and same and self.moved.share == 1 and not self.moved.converted


def as_encoder(source: Any) -> FrozenEncoder | None:
    """Return the encoder that a source is or names; None for a detector."""
    if isinstance(source, FrozenEncoder):
        return source
    if isinstance(source, str) and (source in encoders.names() or source.startswith("keras:")):
        return FrozenEncoder(source)
    return None


def check_family(family: str | None) -> None:
    """Refuse what no detector over an encoder can be.

    Raises:
        ValueError: Another name.
    """
    names = (*TRAINED, FeatureMixture.__name__)
    if family is not None and family not in names:
        raise ValueError(f"`family` must be None or one of {names}.{did_you_mean(family, names)} Received: {family!r}")


def _fresh(encoder: FrozenEncoder, image_shape: tuple[int, int, int], aspect: str, family: str) -> Detector:
    """An untrained detector over an encoder, with the settings of the zoo's."""
    common: dict[str, Any] = {"default_score": "fusion", "aspect": aspect}
    if family == "TiltedVAE":
        return TiltedVAE(image_shape, latent_dim=64, tilt=20.0, encoder=FeatureSpace(encoder), **common)
    last = len(encoder.widths) - 1
    flow = InFlow(image_shape, encoder=FeatureSpace(encoder, [last]), **common)
    width = len(flow.feature_space.other_columns)
    gate = PerImageGate(None, features=width, components=min(64, width - 1), held_out=20, reference=20)
    return flow.with_attention(gate)


def _check(source: Detector, settings: Settings) -> None:
    """Refuse before anything is read or trained what could not be finished."""
    if isinstance(source, FeatureMixture):
        raise ValueError(
            f"A FeatureMixture is not trained: start from its encoder, {source.feature_space.encoder.network!r}. "
            "Received: a FeatureMixture"
        )
    if settings.freeze_encoder and source.encoder is None:
        raise ValueError(
            f"`freeze_encoder` takes a detector with an encoder, as a TiltedVAE. Received: {type(source).__name__}"
        )
    bare = source if source.background is None else source.remade(background=None)
    if source.default_score not in scores.available(bare, cheap=True):
        raise ValueError(
            f"Fine-tuning takes a detector whose default score is one of {scores.available(bare, cheap=True)}. "
            f"Received: {source.default_score!r}"
        )


def _describe(source: Any, original: Detector) -> str:
    if isinstance(source, Detector):
        return f"a {type(original).__name__} in memory"
    return Path(source).resolve().name if Path(source).is_dir() else str(source)
