"""What is measured of a preset beside its scores, and what its card says of that.

A study is a module with three functions:

- `check`, which refuses a `(detector, in-distribution data set)` that the study cannot be of, before anything is trained.
- `study`, from `(detector, in-distribution data set, preset folder, folder of runs)` to what `preset.json` keeps of it under
  the study's name; it may write files into the preset's folder.
- `section`, from `(preset folder, content of preset.json)` to the section of the card, Markdown; None where the preset was
  not studied so.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_ood.evaluation.studies import adversarial, localisation, sample_quality, set_level, spectrum, sweep
from keras_ood.hub.content import Content

STUDIES: dict[str, Callable[[Any, str, Path, Path], dict[str, Any]]] = {
    "sample_quality": sample_quality.study,
    "set_level": set_level.study,
    "adversarial": adversarial.study,
    "localisation": localisation.study,
    "spectrum": spectrum.study,
}
"""What a recipe's `studies` may name."""

CHECKS: dict[str, Callable[[Any, str], None]] = {
    "sample_quality": sample_quality.check,
    "set_level": set_level.check,
    "adversarial": adversarial.check,
    "localisation": localisation.check,
    "spectrum": spectrum.check,
}
"""What refuses a detector that the study of that name cannot be of."""

SECTIONS: tuple[Callable[[Path, Content], str | None], ...] = (
    sample_quality.section,
    sweep.section,  # measured before the recipe was written, by `keras-ood sweep`
    set_level.section,
    adversarial.section,
    localisation.section,
    spectrum.section,
)
"""The sections of a card, in order."""

__all__ = ["CHECKS", "SECTIONS", "STUDIES"]
