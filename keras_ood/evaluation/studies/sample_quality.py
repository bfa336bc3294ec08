"""How good a detector's samples and reconstructions are, beside real images."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy.ndimage import laplace

from keras_ood import datasets, plots
from keras_ood.encoders.encode import encode
from keras_ood.evaluation.pictures import save_figures
from keras_ood.hub.content import Content
from keras_ood.hub.template import fill
from keras_ood.images.preprocessing import Preprocessing
from keras_ood.models import TiltedVAE
from keras_ood.networks.classifier import train_classifier
from keras_ood.tables.markdown import markdown_table

IMAGES = 5000  # of each kind
PICTURE, SHOWN = "samples.png", 48

_TEMPLATE = Path(__file__).with_name("sample_quality.md.jinja")


@dataclass(frozen=True)
class Quality:
    """Numbers of one kind of images, beside those of the real ones.

    Attributes:
        squared_error: Mean squared error of the reconstructions, a number of the image, pixels in 0..1.
        sharpness_real: Mean over real images of the variance of the Laplacian of the luminance.
        sharpness_reconstructions: The same of reconstructions.
        sharpness_samples: The same of samples: real images' value is the aim, not a maximum.
        frechet: Squared Frechet distance of samples from real test images in a classifier's features.
        frechet_real: The same of real training images, which the classifier has seen: the floor.
        frechet_reconstructions: The same of reconstructed test images.
    """

    squared_error: float
    sharpness_real: float
    sharpness_reconstructions: float
    sharpness_samples: float
    frechet: float
    frechet_real: float
    frechet_reconstructions: float


class SampleQuality:
    """What samples of a data set are measured with: real images, and a classifier that the project trains.

    The Frechet distance is that of Heusel et al., "GANs Trained by a Two Time-Scale Update Rule ...", NeurIPS 2017, in the 128
    features before the logits of `keras_ood.networks.classifier.build_classifier` instead of Inception's: its values compare
    with each other on one data set alone.

    Args:
        dataset: A name of `keras_ood.datasets.DATASETS`, with labels.
        real: uint8 images `(N, height, width, channels)` that nothing was trained on.
        runs: Folder of trainings; the classifier's is in it.
    """

    def __init__(self, dataset: str, real: np.ndarray, runs: Path) -> None:
        classifier = train_classifier(dataset, runs / f"classifier-{dataset}")
        self._features = keras.Model(classifier.inputs, classifier.layers[-3].output)  # before dropout and logits
        self.real = real[:IMAGES]
        self._training = datasets.load(dataset, "train")[0][: len(self.real)]

    def measure(self, detector: TiltedVAE, seed: int = 0) -> Quality:
        """Measure as many samples and reconstructions as there are real images."""
        shown = detector.reconstruct(self.real)
        assert shown is not None, "a VAE over pixels draws"
        originals, reconstructed = shown  # all images take the way through the detector's own size
        samples = detector.sample(len(self.real), seed)
        moments = self._gaussian(originals)
        resized = keras.ops.convert_to_numpy(detector.preprocessing(self._training))
        return Quality(
            squared_error=float(np.mean(np.square(originals - reconstructed))),
            sharpness_real=sharpness(originals),
            sharpness_reconstructions=sharpness(reconstructed),
            sharpness_samples=sharpness(samples),
            frechet=frechet_distance(*self._gaussian(samples), *moments),
            frechet_real=frechet_distance(*self._gaussian(resized), *moments),
            frechet_reconstructions=frechet_distance(*self._gaussian(reconstructed), *moments),
        )

    def _gaussian(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features = encode(self._features, images).astype(np.float64)
        return features.mean(axis=0), np.cov(features, rowvar=False)


def sharpness(images: np.ndarray) -> float:
    """Return the mean over `(N, height, width, channels)` images in 0..1 of the variance of their luminance's Laplacian."""
    luminance = keras.ops.convert_to_numpy(Preprocessing((*images.shape[1:3], 1))(images))[..., 0]
    return float(np.mean([np.var(laplace(image)[1:-1, 1:-1]) for image in luminance]))


def frechet_distance(loc: np.ndarray, covariance: np.ndarray, other_loc: np.ndarray, other_covariance: np.ndarray) -> float:
    """Return |m - n|^2 + trace(C + D - 2 (C D)^(1/2)), the squared Frechet distance of N(m, C) and N(n, D).

    >>> frechet_distance(np.zeros(2), np.eye(2), np.array([3.0, 0.0]), 4 * np.eye(2))
    11.0
    """
    difference = loc - other_loc
    overlap = np.linalg.norm(_root(covariance) @ _root(other_covariance), "nuc")  # trace((C D)^(1/2)), singular or not
    return float(difference @ difference + np.trace(covariance + other_covariance) - 2 * overlap)


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T)


def check(detector: Any, inside: str) -> None:
    """Refuse a family that reconstructs nothing; see `keras_ood.evaluation.studies`."""
    if not isinstance(detector, TiltedVAE):
        raise ValueError(
            f"The quality of samples and reconstructions is that of a TiltedVAE. Received: {type(detector).__name__}"
        )


def study(detector: TiltedVAE, inside: str, folder: Path, runs: Path) -> dict[str, Any]:
    """Measure a preset on test images and draw samples; see `keras_ood.evaluation.studies`."""
    save_figures({PICTURE: plots.gallery({"samples": detector.sample(SHOWN)})}, folder)
    real = datasets.load(inside, "test")[0]
    return asdict(SampleQuality(inside, real, runs).measure(detector)) | {"images": len(real[:IMAGES])}


def section(folder: Path, content: Content) -> str | None:
    """Return what a preset's card says of the study; see `keras_ood.evaluation.studies`."""
    if "sample_quality" not in content:
        return None
    measured = dict(content["sample_quality"])
    images = measured.pop("images")
    quality = Quality(**measured)
    rows = [
        ("real images", "-", quality.sharpness_real, quality.frechet_real),
        (
            "reconstructions",
            f"{quality.squared_error:.5f}",
            quality.sharpness_reconstructions,
            quality.frechet_reconstructions,
        ),
        ("samples", "-", quality.sharpness_samples, quality.frechet),
    ]
    table = markdown_table(
        ["images", "mean squared error", "sharpness", "Frechet distance"],
        [[kind, error, f"{edges:.5f}", f"{distance:.2f}"] for kind, error, edges, distance in rows],
    )
    return fill(_TEMPLATE, {"picture": PICTURE, "images": images, "table": table})
