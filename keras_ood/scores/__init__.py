"""The score catalogue: functions of a detector's statistics, one a file, one registry."""

from collections.abc import Iterable

from keras_ood.names import did_you_mean
from keras_ood.scores.kl import KL
from keras_ood.scores.local_contrast import LocalContrast
from keras_ood.scores.mahalanobis import Mahalanobis
from keras_ood.scores.nll import NegativeLogLikelihood
from keras_ood.scores.reconstruction import Reconstruction
from keras_ood.scores.score import Score

_CATALOGUE: dict[str, Score] = {
    score.name: score for score in (NegativeLogLikelihood(), Reconstruction(), KL(), LocalContrast(), Mahalanobis())
}


def names() -> list[str]:
    """Return the names of all scores, plain likelihood first."""
    return list(_CATALOGUE)


def available(statistics: Iterable[str]) -> list[str]:
    """Return the names of the scores that these statistics suffice for."""
    given = set(statistics)
    return [score.name for score in _CATALOGUE.values() if given.issuperset(score.needs)]


def get(name: str) -> Score:
    """Return the score of that name.

    Raises:
        ValueError: There is none.
    """
    if name not in _CATALOGUE:
        raise ValueError(f"`method` must be one of {names()}.{did_you_mean(name, _CATALOGUE)} Received: {name!r}")
    return _CATALOGUE[name]


__all__ = ["Score", "available", "get", "names"]
