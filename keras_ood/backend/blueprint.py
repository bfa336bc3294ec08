"""A model whose constructors have run and whose variables take no memory yet: how large it would be is told before it is."""

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state  # where Keras notes variables that have no values yet

from keras_ood.backend.eagerly import eagerly
from keras_ood.backend.settings import own_settings

_drawing = threading.local()


def drawing() -> bool:
    """Return whether variables have no values here, so that there is nothing to copy from one to the other."""
    return getattr(_drawing, "now", False)


class Blueprint:
    """What `draw` gives.

    Args:
        built: What `build` returned.
        variables: All variables that it made.
    """

    def __init__(self, built: Any, variables: Sequence[Any]) -> None:
        self.built, self._variables = built, variables

    @property
    def numbers(self) -> int:
        """How many numbers all the variables hold, each copy counted."""
        return sum(math.prod(variable.shape) for variable in self._variables)

    def allocate(self) -> Any:
        """Return what was built, its weights zeros that a file is to fill: no initializer runs, each a program for JAX."""
        for variable in self._variables:
            if isinstance(variable._initializer, keras.initializers.Initializer):  # others are seeds, which no file holds
                variable._initializer = np.zeros
            variable._deferred_initialize()
        return self.built


def draw(build: Callable[[], Any]) -> Blueprint:
    """Return the blueprint of what `build` makes; what it raises is raised here."""

    def call() -> Blueprint:
        _drawing.now = True
        with keras.StatelessScope(initialize_variables=False), own_settings("float32"):
            built = build()
            return Blueprint(built, global_state.get_global_attribute("uninitialized_variables", []))

    return eagerly(call)  # Keras keeps its notes for each thread: with that one they go
