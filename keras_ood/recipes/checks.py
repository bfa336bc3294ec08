"""What the values of a recipe must be, said before anything is trained."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from keras_ood.calibration.conformal import MINIMUM_SIZE
from keras_ood.datasets import DATASETS, GENERATED
from keras_ood.models import FAMILIES
from keras_ood.models.portable import POLICIES
from keras_ood.recipes.encoder_recipe import EncoderRecipe
from keras_ood.recipes.parts import BackgroundRecipe, GateRecipe
from keras_ood.terminal.names import did_you_mean
from keras_ood.terminal.numbers import is_between, is_whole

LEAST = 2 * MINIMUM_SIZE
"""Calibration images at least: half of them fit the scores that are fitted."""

UNGATED = "ungated"
"""What the rows of a gated InFlow without its gate are called."""

_OF_ALL = {"localisation", "spectrum"}  # studies that are not of pixels alone
_SETS = [*DATASETS, *GENERATED]
_TITLE = re.compile("[a-z0-9]+([ -][a-z0-9]+)*")  # of which folders get their names


def _different(values: Any, holds: Callable[[Any], bool]) -> bool:
    """Whether `values` is a list without a value twice, each of which holds."""
    return isinstance(values, (list, tuple)) and all(map(holds, values)) and len(set(values)) == len(values)


_Rule = tuple[str, Callable[[Any], bool]]

_RULES: dict[str, _Rule] = {
    "family": (f"one of {sorted(FAMILIES)}", list(FAMILIES).__contains__),
    "model": ("a table of the family's arguments", lambda value: isinstance(value, dict)),
    "dataset": (f"one of {sorted(DATASETS)}", list(DATASETS).__contains__),
    "calibration_size": (f"a whole number of at least {LEAST}", partial(is_whole, least=LEAST)),
    "epochs": ("a positive whole number", partial(is_whole, least=1)),
    "batch_size": ("a positive whole number", partial(is_whole, least=1)),
    "learning_rate": ("a number between 0 and 1", partial(is_between, low=0, high=1)),
    "seeds": (
        "a list of different whole numbers from 0 to 2**32 - 1, at least one",
        lambda value: bool(value) and _different(value, lambda seed: is_whole(seed, 0) and seed < 2**32),
    ),
    "out_of_distribution": (
        f"a list of different names of {_SETS}, at least one",
        lambda value: bool(value) and _different(value, _SETS.__contains__),
    ),
    "dtype_policy": (f"one of {list(POLICIES)}", list(POLICIES).__contains__),
    "studies": ("a list of different names", lambda value: _different(value, lambda name: isinstance(name, str))),
    "perturbed": ("0 or a number between 0 and 1", lambda value: value == 0 or is_between(value, 0, 1)),
    "attention": ("a table", lambda value: value is None or isinstance(value, GateRecipe)),
    "background": ("a table", lambda value: value is None or isinstance(value, BackgroundRecipe)),
    "encoder": ("a table", lambda value: value is None or isinstance(value, EncoderRecipe)),
    "beside": (
        "a table of tables, by titles of their own, of small letters and digits: arguments of the family, and an `encoder` in"
        " place of the recipe's",
        lambda value: (
            isinstance(value, dict)
            and all(isinstance(part, dict) and _TITLE.fullmatch(title) for title, part in value.items())
            and len({title.replace(" ", "-") for title in value}) == len(value)
        ),
    ),
}


def check(values: Mapping[str, Any]) -> None:
    """Refuse the values of a recipe's keys that cannot be.

    Args:
        values: `{key: value}` of every key of `keras_ood.recipes.recipe.Recipe`.

    Raises:
        ValueError: Names the key and what it takes.
    """
    for key, (expected, holds) in _RULES.items():
        if not holds(values[key]):
            raise ValueError(f"`{key}` must be {expected}.{_hint(key, values[key])} Received: {values[key]!r}")
    attention = values["attention"]
    if attention and (values["family"] != "InFlow" or attention.held_out > values["calibration_size"] - LEAST):
        raise ValueError(
            f"`attention` belongs to an InFlow, and its `held_out` leaves at least {LEAST} images of `calibration_size`. "
            f"Received: {attention.table()} for a {values['family']}, of {values['calibration_size']}"
        )
    if attention and (attention.encoder is None) == (values["encoder"] is None):
        raise ValueError(
            f"`attention` names an `encoder` where the recipe has none, and none where it has. Received: {attention.table()}"
        )
    if values["encoder"] is None and any("encoder" in part for part in values["beside"].values()):
        raise ValueError(f"Another `encoder` stands in `beside` where the recipe has one. Received: {values['beside']}")
    if values["encoder"] and (values["background"] or values["perturbed"] or set(values["studies"]) - _OF_ALL):
        raise ValueError(
            f"A recipe with an `encoder` has neither `background` nor `perturbed` nor `studies` but {sorted(_OF_ALL)}: "
            f"those are of pixels. Received: {values['encoder'].table()}"
        )
    if values["beside"] and (values["attention"] or values["background"]):
        raise ValueError(
            "What stands in `beside` has neither gate nor background model: recipes with `attention` or `background` lack it. "
            f"Received: {values['beside']}"
        )
    if taken := {"trained", "untrained", UNGATED} & set(values["beside"]):
        raise ValueError(f"The titles in `beside` are others than those that every preset has. Received: {sorted(taken)}")


def _hint(key: str, value: Any) -> str:
    known = {"dataset": list(DATASETS), "out_of_distribution": _SETS}.get(key, [])
    names = value if isinstance(value, list) else [value]
    return next((did_you_mean(name, known) for name in names if name not in known), "")
