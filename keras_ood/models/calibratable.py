"""Decisions of a detector: calibration, p-values, flags."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_ood import scores
from keras_ood.calibration.calibrated_scores import CalibratedScores, Passes
from keras_ood.calibration.conformal import MINIMUM_SIZE, Calibration
from keras_ood.calibration.mondrian import MondrianCalibration
from keras_ood.calibration.rule import Part, Rule
from keras_ood.images.duplicates import Duplicates
from keras_ood.images.groups import group_names
from keras_ood.images.no_images import at_least_one
from keras_ood.images.sources import opened
from keras_ood.models.scoring import OPTIONS, Scoring
from keras_ood.terminal.names import check_options


class Calibratable(Scoring):
    """The part of a detector that decides: scores of held-out in-distribution images make p-values of the scores of others."""

    def calibrate(self, images: Any, methods: Sequence[str] | str | None = None, groups: Any = None, **options: Any) -> int:
        """Keep the scores of held-out in-distribution images, in place of those kept of the same scores before.

        A score that must be fitted is fitted to every other image, and calibrated with the rest. Each image counts once: of
        equal ones the first is kept, and a warning says how many were left out, and whether many are nearly equal, as frames
        of a video are: p-values promise nothing for images that depend on each other. The calibration belongs to the weights
        as they are; when they change in any way, it is gone.

        Args:
            images: Any accepted source of at least 20 different images that were not trained on, 40 for scores that are fitted.
            methods: Scores; None for every cheap one that the detector and the number of images allow.
            groups: Known groups of the images, such as class, camera or day, each of at least as many images: labels, one an
                image, or `"folder"` for files, whose groups are the names of their folders. Each group is calibrated for
                itself, too, see `keras_ood.calibration.mondrian.MondrianCalibration`.
            **options: Options of `statistics`. `samples` and `seed` are kept: p-values are taken with the same.

        Returns:
            The number of different images.

        Raises:
            ValueError: Too few images, in all or of a group, or a score that cannot be calibrated.
        """
        check_options(options, OPTIONS)
        duplicates, images = Duplicates(), opened(images)
        chosen = self._to_calibrate(methods)
        parts = at_least_one(self.statistics_pass.stream(images, chosen, **options, look=duplicates.add))
        first = duplicates.first
        statistics = {name: np.concatenate([part[name] for part in parts])[first] for name in parts[0]}
        labels = None if groups is None else group_names(groups, images, duplicates.seen)[first]
        self.calibrate_statistics(statistics, methods, Passes().asked(options), duplicates.seen, labels)
        duplicates.warn()
        return len(first)

    def calibrate_statistics(
        self,
        statistics: Mapping[str, np.ndarray],
        methods: Sequence[str] | str | None = None,
        passes: Passes = Passes(),  # noqa: B008
        seen: int | None = None,
        groups: np.ndarray | None = None,
    ) -> None:
        """Calibrate with the statistics of different held-out in-distribution images, see `calibrate`.

        Args:
            statistics: `{name: (N,)}`, as `statistics` gives them.
            methods: As in `calibrate`.
            passes: How they were measured.
            seen: Number of images that they were chosen from, for the error; None for all.
            groups: Labels `(N,)` of known groups of the images; None for none.

        Raises:
            ValueError: Too few images, in all or of a group, or a score that cannot be calibrated.
        """
        chosen, size = self._to_calibrate(methods), len(next(iter(statistics.values())))
        if methods is None and size < 2 * MINIMUM_SIZE:
            chosen = [score for score in chosen if not score.fits or score.name == self.default_score]
        required = 2 * MINIMUM_SIZE if any(score.fits for score in chosen) else MINIMUM_SIZE
        if size < required:
            raise ValueError(
                f"Calibration takes at least {MINIMUM_SIZE} different images, {2 * MINIMUM_SIZE} for scores that are fitted. "
                f"Received: {size} different ones of {seen or size}, for {[score.name for score in chosen]}"
            )
        weights = self.weights_digest()
        made = CalibratedScores(chosen, statistics, weights, passes, groups=groups)
        self._calibrated = self._calibrated.for_weights(weights).updated(made)

    def _to_calibrate(self, methods: Sequence[str] | str | None) -> list[scores.Score]:
        methods = [methods] if isinstance(methods, str) else methods
        chosen = [self._available_score(name) for name in (scores.available(self, cheap=True) if methods is None else methods)]
        transductive = [score.name for score in chosen if score.transductive]
        if transductive:
            raise ValueError(f"A transductive score depends on its batch and has no calibration. Received: {transductive}")
        return chosen

    def calibration(self, method: str | None = None) -> Calibration:
        """Return the calibration of a score.

        Raises:
            NotCalibratedError: `calibrate` has not run since the weights last changed.
        """
        score, calibrated = self._calibrated_score(method)
        return calibrated.calibration(score.name)

    def mondrian(self, method: str | None = None) -> MondrianCalibration:
        """Return the calibration of a score by group.

        Raises:
            NotCalibratedError: `calibrate` has not run with `groups` since the weights last changed.
        """
        score, calibrated = self._calibrated_score(method)
        return calibrated.mondrian(score.name)

    def passes(self, method: str | None = None) -> Passes:
        """Return the `samples` and `seed` with which a score was calibrated: `statistics` of the same compare with it."""
        score, calibrated = self._calibrated_score(method)
        return calibrated.passes(score.name, {})

    def _calibrated_score(self, method: str | None) -> tuple[scores.Score, CalibratedScores]:
        score = scores.get(method or self.default_score)
        if score.transductive:
            raise ValueError(f"A transductive score depends on its batch and has no p-value. Received: {score.name!r}")
        return score, self.calibrated

    def calibrated_scores(self) -> list[str]:
        """Return the names of the scores that `calibrate` has covered since the weights last changed."""
        calibrated = self.calibrated
        return [name for name in scores.names() if name in calibrated]

    def ready_scores(self) -> list[str]:
        """Return the names of the cheap scores that can be computed as things are: fitted, where they must be."""
        calibrated = self.calibrated
        return [name for name in scores.available(self, cheap=True) if name in calibrated or not scores.get(name).fits]

    def p_values(
        self, images: Any, method: str | None = None, groups: Any = None, confidence: float | None = None, **options: Any
    ) -> np.ndarray:
        """Return `(N,)` conformal p-values against the calibration images; small = out-of-distribution.

        Args:
            images: Any accepted source.
            method: As in `score`.
            groups: As in `calibrate`: each image is ranked among those of its own group. None: among all.
            confidence: None: they hold on average over calibrations. Otherwise for this one, with this probability, see
                `keras_ood.calibration.conformal.Calibration.conditional`.
            **options: As in `score`; `samples` and `seed` are those of the calibration.

        Raises:
            ValueError: As `iterate_p_values`; a group that was not calibrated.
            NotCalibratedError: As `iterate_p_values`, or by group.
        """
        score, calibrated = self._calibrated_score(method)
        if confidence is not None:
            calibrated.calibration(score.name).conditional(np.ones(1), confidence)  # refused before any image is scored
        p_values, parts = self._ranked(score, calibrated, images, groups, options)
        if confidence is not None:
            for index, calibration in parts:
                p_values[index] = calibration.conditional(p_values[index], confidence)
        return p_values

    def _ranked(
        self, score: scores.Score, calibrated: CalibratedScores, images: Any, groups: Any, options: Mapping[str, Any]
    ) -> tuple[np.ndarray, list[Part]]:
        """P-values of images, and which were ranked in which calibration."""
        if groups is None:
            found = self._iterate_p_values(score, calibrated, images, options)
            return np.concatenate(at_least_one(p_values for _, p_values in found)), [
                (slice(None), calibrated.calibration(score.name))
            ]
        mondrian, images = calibrated.mondrian(score.name), opened(images)
        values = np.concatenate(
            at_least_one(values for values, _ in self._iterate_p_values(score, calibrated, images, options))
        )
        labels = group_names(groups, images, len(values))
        return mondrian.p_values(values, labels), mondrian.parts(labels)

    def iterate_p_values(
        self, images: Any, method: str | None = None, **options: Any
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield `(scores, p_values)` batch by batch: what `score` and `p_values` return, from one pass.

        Raises:
            ValueError: As `iterate_scores`; other `samples` or another `seed` than those of the calibration.
            NotCalibratedError: `calibrate` has not covered the score since the weights last changed.
        """
        return self._iterate_p_values(*self._calibrated_score(method), images, options)

    def _iterate_p_values(
        self, score: scores.Score, calibrated: CalibratedScores, images: Any, options: Mapping[str, Any]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        calibration = calibrated.calibration(score.name)
        options = {**options, **calibrated.passes(score.name, options)._asdict()}
        return ((values, calibration.p_values(values)) for values in self._iterate_scores(score, calibrated, images, options))

    def threshold(self, fpr: float, method: str | None = None, confidence: float | None = None) -> float:
        """Return the score above which at most a share `fpr` of in-distribution images lies.

        It holds for scores of the same `samples` and `seed` as the calibration's.

        Args:
            fpr: False positive rate.
            method: As in `score`.
            confidence: None: on average over calibrations. Otherwise for this one, with this probability.
        """
        return self.calibration(method).threshold(fpr, confidence)

    def detect(
        self,
        images: Any,
        fpr: float | None = None,
        method: str | None = None,
        *,
        fdr: float | None = None,
        confidence: float | None = None,
        storey: bool = False,
        groups: Any = None,
        **options: Any,
    ) -> np.ndarray:
        """Return `(N,)` bool, True = out-of-distribution.

        Args:
            images: Any accepted source.
            fpr: False positive rate to hold: at most this share of in-distribution images is flagged. 5 % if neither is given.
            method: As in `score`.
            fdr: False discovery rate to hold instead, over the images given: of those that are flagged at most this share is
                in-distribution, on average. For many images of which somebody looks at everything that is flagged.
            confidence: None: the rate is held on average over calibrations. Otherwise by this one, with this probability.
            storey: See `keras_ood.calibration.rule.Rule`.
            groups: As in `p_values`: the rate is held in each group.
            **options: As in `score`.

        Raises:
            ValueError: Two rates, or one that the calibration cannot promise, said before any image is scored, of a group once
                it is known which images are its own; as `p_values`.
            NotCalibratedError: As `p_values`.
        """
        rule = Rule(fpr, fdr, confidence, storey)
        score, calibrated = self._calibrated_score(method)
        if groups is None:
            rule.require(calibrated.calibration(score.name))
        return rule.flags(*self._ranked(score, calibrated, images, groups, options))
