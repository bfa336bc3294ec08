"""Scores of a detector: images to statistics to scores."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_ood import scores
from keras_ood.calibration.calibrated_scores import CalibratedScores
from keras_ood.images.no_images import at_least_one
from keras_ood.models.portable import Portable
from keras_ood.models.statistics_pass import StatisticsPass
from keras_ood.terminal.names import check_options

OPTIONS = ("samples", "seed", "batch_size", "progress")
"""Of `Detector.statistics`, and of all that rests on it."""


class Scoring(Portable):
    """The part of a detector that measures: the statistics of images from one compiled pass, and scores made of them."""

    default_score: str
    statistics_pass: StatisticsPass

    def statistics(
        self,
        images: Any,
        *,
        methods: Sequence[str] | str = (),
        samples: int | None = None,
        seed: int = 0,
        batch_size: int = 256,
        progress: bool | None = None,
    ) -> dict[str, np.ndarray]:
        """Return every cheap statistic of each image, from one compiled pass.

        Args:
            images: Any accepted source.
            methods: Scores whose further statistics are measured too.
            samples: None for the deterministic pass; `k` for the mean over `k` stochastic passes, whose noise is the same for
                every image, so that a score depends on the image and `seed` alone.
            seed: Seed of the stochastic passes.
            batch_size: Images per pass.
            progress: Whether to show a bar on standard error; None: on a terminal, once the work takes long.

        Returns:
            `{name: (N,) float32}`.

        Raises:
            ValueError: The detector lacks what one of the scores takes.
        """
        served = [self._available_score(name) for name in ([methods] if isinstance(methods, str) else methods)]
        parts = at_least_one(self.statistics_pass.stream(images, served, samples, seed, batch_size, progress))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _available_score(self, method: str | None) -> scores.Score:
        score = scores.get(method or self.default_score)
        if not score.serves(self):
            raise ValueError(
                f"This {type(self).__name__} has the scores {scores.available(self)}. Received: {score.name!r}, which needs "
                "what it lacks"
            )
        return score

    def score(self, images: Any, method: str | None = None, **options: Any) -> np.ndarray:
        """Return `(N,)` float32 scores, higher = more out-of-distribution.

        Args:
            images: Any accepted source.
            method: A score of the catalogue (`keras_ood.scores.names()`); None for `default_score`.
            **options: Options of `statistics`: `samples`, `seed`, `batch_size`, `progress`.
        """
        return np.concatenate(at_least_one(self.iterate_scores(images, method, **options)))

    def iterate_scores(self, images: Any, method: str | None = None, **options: Any) -> Iterator[np.ndarray]:
        """Yield what `score` returns batch by batch: memory does not grow with the number of images.

        Raises:
            ValueError: The detector lacks what the score takes, said at once, not at the first batch.
            NotCalibratedError: The score must be fitted, and `calibrate` has not run.
        """
        score = self._available_score(method)
        return self._iterate_scores(score, self.calibrated if score.fits else self._calibrated, images, options)

    def _iterate_scores(
        self, score: scores.Score, calibrated: CalibratedScores, images: Any, options: Mapping[str, Any]
    ) -> Iterator[np.ndarray]:
        check_options(options, OPTIONS)
        fit = calibrated.fit_of(score)  # refuses a score that is not fitted before any image is looked at
        if score.fits:
            options = {**options, **calibrated.passes(score.name, options)._asdict()}
        batches = self.statistics_pass.stream(images, [score], **options, names=fit.statistics or score.needs)
        return (score(statistics, fit).astype(np.float32) for statistics in batches)

    def score_statistics(self, statistics: Mapping[str, np.ndarray], method: str | None = None) -> np.ndarray:
        """Return `(N,)` float32 scores of statistics at hand: several scores cost one pass."""
        score = scores.get(method or self.default_score)
        read = score.needs + score.measures
        if not set(read) <= set(statistics):
            raise ValueError(f"Score {score.name!r} needs the statistics {read}. Received: {sorted(statistics)}")
        return score(statistics, (self.calibrated if score.fits else self._calibrated).fit_of(score)).astype(np.float32)
