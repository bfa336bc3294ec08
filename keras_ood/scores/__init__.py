"""The score catalogue: functions of a detector's statistics, one a file, one registry."""

from typing import Any

from keras_ood.scores.density_of_states import DensityOfStates
from keras_ood.scores.ensemble import PValueEnsemble
from keras_ood.scores.fit import Fit
from keras_ood.scores.fusion import Fusion
from keras_ood.scores.gradient_norm import GradientNorm
from keras_ood.scores.input_complexity import InputComplexity
from keras_ood.scores.iwae import ImportanceWeighted
from keras_ood.scores.kl import KL
from keras_ood.scores.latent_norm import LatentNorm
from keras_ood.scores.likelihood_ratio import LikelihoodRatio
from keras_ood.scores.likelihood_regret import LikelihoodRegret
from keras_ood.scores.local_contrast import LocalContrast
from keras_ood.scores.mahalanobis import Mahalanobis
from keras_ood.scores.nearest_neighbours import NearestNeighbours
from keras_ood.scores.nll import NegativeLogLikelihood
from keras_ood.scores.path_norms import PathNorms
from keras_ood.scores.peak import Peak
from keras_ood.scores.reconstruction import Reconstruction
from keras_ood.scores.score import Score
from keras_ood.scores.shell_distance import ShellDistance
from keras_ood.scores.typicality import Typicality
from keras_ood.scores.waic import WAIC
from keras_ood.scores.will_it_move import WillItMove
from keras_ood.terminal.names import did_you_mean

_CATALOGUE: dict[str, Score] = {
    score.name: score
    for score in (
        NegativeLogLikelihood(),
        Peak(),
        ImportanceWeighted(),
        Reconstruction(),
        KL(),
        LatentNorm(),
        ShellDistance(),
        Typicality(),
        InputComplexity(),
        LocalContrast(),
        LikelihoodRatio(),
        LikelihoodRegret(),
        WAIC(),
        DensityOfStates(),
        PathNorms(),
        PValueEnsemble(),
        GradientNorm(),
        Mahalanobis(),
        NearestNeighbours(),
        Fusion(),
        WillItMove(),
    )
}


def names() -> list[str]:
    """Return the names of all scores, plain likelihood first."""
    return list(_CATALOGUE)


def available(detector: Any, cheap: bool = False) -> list[str]:
    """Return the names of the scores that a detector has all for.

    Args:
        detector: A `keras_ood.Detector`.
        cheap: Whether to leave out those that cost more than a second pass.
    """
    return [score.name for score in _CATALOGUE.values() if (score.cheap or not cheap) and score.serves(detector)]


def register(score: Score) -> Score:
    """Add a score of one's own to the catalogue, so that every `method` knows it by its name.

    Args:
        score: An instance of a subclass of `Score`. One of the same class and name takes the place of the one before.

    Returns:
        The score.

    Raises:
        ValueError: No `Score`, a name that is taken, or one that is no identifier.
    """
    if not isinstance(score, Score) or not str(getattr(score, "name", "")).isidentifier():
        raise ValueError(f"`register` takes an instance of `Score` with an identifier as its `name`. Received: {score!r}")
    known = type(_CATALOGUE.get(score.name, score))
    if (known.__module__, known.__qualname__) != (type(score).__module__, type(score).__qualname__):
        raise ValueError(f"Each score has a name of its own, none of {names()}. Received: {score.name!r}")
    _CATALOGUE[score.name] = score
    return score


def get(name: str) -> Score:
    """Return the score of that name.

    Raises:
        ValueError: There is none.
    """
    if name not in _CATALOGUE:
        raise ValueError(f"`method` must be one of {names()}.{did_you_mean(name, _CATALOGUE)} Received: {name!r}")
    return _CATALOGUE[name]


__all__ = ["Fit", "Score", "available", "get", "names", "register"]
