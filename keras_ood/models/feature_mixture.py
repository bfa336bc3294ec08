"""The density of a frozen encoder's features, for as few images as thirty."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ood.calibration.conformal import MINIMUM_SIZE
from keras_ood.encoders.feature_space import FeatureSpace
from keras_ood.encoders.mixture_space import MixtureSpace
from keras_ood.images.embeddings import Embeddings
from keras_ood.images.groups import leave_out
from keras_ood.models.detector import Detector
from keras_ood.models.localising import BATCH
from keras_ood.terminal.numbers import is_whole
from keras_ood.terminal.progress import begin

_CITATION = """Lee, Lee, Lee, Shin: "A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial \
Attacks", NeurIPS 2018, arXiv 1807.03888, without labels; the memory after Roth et al., "Towards Total Recall in Industrial \
Anomaly Detection", CVPR 2022, arXiv 2106.08265; p-values by cross-conformal prediction: Vovk, "Cross-conformal predictors", \
Annals of Mathematics and Artificial Intelligence 74, 2015, arXiv 1208.0806."""


IMAGES_EACH = 5  # at least, for each centre


@keras.saving.register_keras_serializable(package="keras_ood")
class FeatureMixture(Detector):
    """Normal distributions of one shrunk covariance about a few centres, over the features of a frozen encoder.

    Nothing is trained by gradients, so that a few dozen images suffice, and none is lost to a split: `cross_fit` cuts the
    images in folds, fits the density (`keras_ood.encoders.MixtureSpace`) once without each of them, and calibrates every image
    against the fit that has not seen it. A new image gets the mean over the fits.

    Statistics, `(batch,)` float32, means over the fits: `nll` in nats, the negative log-density of the features; `mahalanobis`
    and `knn`, see `MixtureSpace`. Heat maps of the images that it was made of are cross-fitted too, `cross_fit_maps`.

    Args:
        image_shape: `(height, width, channels)`.
        encoder: A `MixtureSpace`, or what that takes as `encoder`, such as `"efficientnet-lite0"`.
        default_score: The score that methods use when none is named.
        folds: Number of fits, at least 2.
        **kwargs: What `keras.Model` takes.

    Raises:
        ValueError: No encoder, or fewer than two folds.

    Source: Lee et al., arXiv 1807.03888; Vovk, "Cross-conformal predictors", arXiv 1208.0806. The p-value is that of the mean
    score over the fits, close to valid from a hundred images on and without a guarantee: `benchmark/few-images.csv`.
    """

    citation = _CITATION

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        encoder: Any,
        default_score: str = "nll",
        folds: int = 10,
        **kwargs: Any,
    ) -> None:
        if encoder is None or kwargs.get("background") is not None or not is_whole(folds, 2):
            raise ValueError(
                "A FeatureMixture takes an `encoder`, no background, and `folds`, a whole number of at least 2. "
                f"Received: encoder={encoder!r}, folds={folds!r}, {kwargs}"
            )
        given = keras.saving.deserialize_keras_object(encoder) if isinstance(encoder, dict) else encoder
        space = given if isinstance(given, MixtureSpace) else MixtureSpace(given)
        super().__init__(image_shape, default_score, encoder=space, **kwargs)
        self.folds = folds
        self.spaces = [space, *(MixtureSpace(space.encoder, space.stages, space.memory) for _ in range(folds - 1))]
        self._left_out: list[np.ndarray] = []
        self.built = True

    def statistic_names(self) -> tuple[str, ...]:
        """Return the names of the statistics of one pass, which does not say before the fit."""
        return ("nll", "mahalanobis", "knn")

    def call(self, inputs: Any, training: bool = False) -> dict[str, Any]:
        """Return the statistics of a batch of images, see above."""
        features = self.entrance.prepared(inputs)
        each = [_statistics(space, features) for space in self.spaces]
        return {name: ops.mean(ops.stack([one[name] for one in each]), axis=0) for name in each[0]}

    def cross_fit(self, images: Any, seed: int = 0, groups: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Fit and calibrate with the same in-distribution images: each is calibrated by the fit that has not seen it.

        Args:
            images: Different images, any accepted source, or their `Embeddings`; at least 20.
            seed: Of the folds and of the memory.
            groups: Labels `(N,)`, equal for images that belong together, such as those of one video: the fit that calibrates
                one of them has seen none. None where each stands alone.

        Returns:
            The statistics of each image by the fit without it, `{name: (N,)}`.

        Raises:
            ValueError: Too few images, or groups.
        """
        embeddings = self.entrance.embed(images)
        if len(embeddings) < max(MINIMUM_SIZE, self.folds):
            raise ValueError(
                f"A cross fit takes at least {max(MINIMUM_SIZE, self.folds)} different images. Received: {len(embeddings)}"
            )
        folds = leave_out(len(embeddings), self.folds, seed, groups)
        for space, (kept, _) in zip(self.spaces, folds, strict=True):
            space.fit(embeddings[kept], seed)
        self._left_out = [out for _, out in folds]
        found = self.held_out(embeddings)
        self.calibrate_statistics(found)
        return found

    def held_out(self, images: Any) -> dict[str, np.ndarray]:
        """Return statistics after `cross_fit`, each by the fit without the image in its place: of its images or variants.

        A rotated copy of an image that a fit has seen would look more familiar to it than it is.

        Args:
            images: As many as were fitted, or the first of them, any accepted source or `Embeddings`.

        Returns:
            `{name: (N,)}`, float32.

        Raises:
            RuntimeError: Before `cross_fit`; which image is in which fold is not saved.
        """
        self._require_folds()
        embeddings = self.entrance.embed(images)
        parts, places = [], []
        for space, out in zip(self.spaces, self._left_out, strict=True):
            if len(here := out[out < len(embeddings)]):
                statistics = _statistics(space, embeddings[here].values())
                parts.append({name: ops.convert_to_numpy(values) for name, values in statistics.items()})
                places.append(here)
        order = np.argsort(np.concatenate(places))
        return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}

    def cross_fit_maps(self, images: Any, batch_size: int = BATCH, progress: bool | None = None) -> int:
        """Calibrate heat maps with the images of `cross_fit`: the map of each is that of the fit that has not seen it.

        By all fits the positions of these images look more familiar than those of any new one: `calibrate_maps` is for others.

        Args:
            images: 40 at least of those that were fitted, in their order: all, or the first of them. Not their embeddings.
            batch_size: As in `score_map`.
            progress: As in `score_map`.

        Returns:
            The number of images.

        Raises:
            RuntimeError: Before `cross_fit`; which image is in which fold is not saved.
            ValueError: Too few images, or more than were fitted.
        """
        self._require_folds()
        by_fit = np.concatenate(list(self.statistics_pass.maps(images, batch_size, progress, scores=self._scores_by_fit)))
        order = np.argsort(np.concatenate(self._left_out))
        fits = np.repeat(np.arange(self.folds), [len(out) for out in self._left_out])[order]
        if len(by_fit) > len(fits):
            raise ValueError(f"Of images there are at most those that were fitted, {len(fits)}. Received: {len(by_fit)}")
        return self._keep_maps(by_fit[np.arange(len(by_fit)), ..., fits[: len(by_fit)]])

    def position_scores(self, seen: Any) -> Any:
        """Return the nll of the features around each position, in nats, the mean over the fits; see `Detector`."""
        return ops.mean(self._scores_by_fit(seen), axis=-1)

    def _scores_by_fit(self, seen: Any) -> Any:
        """The nll at each position by each fit, `(batch, h, w, folds)`."""
        features = ops.reshape(seen, (-1, seen.shape[-1]))
        each = [-space.log_density(space(features)) for space in self.spaces]
        return ops.reshape(ops.stack(each, axis=-1), (*ops.shape(seen)[:3], self.folds))

    def _require_folds(self) -> None:
        if not self._left_out:
            raise RuntimeError("Which fit has seen which image is known after `cross_fit` alone")

    def fit(self, x: Any = None, y: Any = None, **options: Any) -> Any:
        """Refuse: nothing here is trained by gradients."""
        raise NotImplementedError("A FeatureMixture has nothing to train: `cross_fit(images)` fits and calibrates it")

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the features of prepared images, `(N, features)`, whitened by the first of the fits."""
        return np.asarray(ops.convert_to_numpy(self.spaces[0](self.entrance.embed(images).values())))

    @property
    def feature_spaces(self) -> list[FeatureSpace]:
        """The fits, one for each fold."""
        return list(self.spaces)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"folds": self.folds}


def choose_memory(
    encoder: MixtureSpace, embeddings: Embeddings, folds: int = 10, seed: int = 0, groups: np.ndarray | None = None
) -> dict[int, float]:
    """Return the mean held-out log-density, in nats, by the size of the memory: the largest says which one to take.

    Sizes are powers of two from one, the shrunk Mahalanobis distance, to as many as leave five images for each centre. Each is
    measured by cross-validation on these images alone.

    Args:
        encoder: Whose encoder and stages they are.
        embeddings: Of in-distribution images.
        folds: Of the cross-validation.
        seed: Of the folds and of the clusters.
        groups: See `FeatureMixture.cross_fit`.
    """
    densities: dict[int, float] = {}
    parts = leave_out(len(embeddings), folds, seed, groups)
    memory = 1
    while memory == 1 or IMAGES_EACH * memory <= len(embeddings) * (folds - 1) // folds:
        begin(f"Choosing the number of centres: {memory}")
        space = MixtureSpace(encoder.encoder, encoder.stages, memory)
        held_out = [
            ops.convert_to_numpy(space.log_density(space.fit(embeddings[kept], seed)(embeddings[out].values())))
            for kept, out in parts
        ]
        densities[memory] = float(np.mean(np.concatenate(held_out)))
        memory *= 2
    return densities


def _statistics(space: MixtureSpace, features: Any) -> dict[str, Any]:
    whitened = space(features)
    return {"nll": -space.log_density(whitened)} | space.statistics(whitened)
