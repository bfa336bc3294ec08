"""How large a model would be, told before it is: its constructors run, its variables take no memory."""

import math
import random
import threading
from collections.abc import Callable
from typing import Any

import keras
from keras.src.backend.common import global_state  # where Keras notes variables that have no values yet

from keras_ood.backend.eagerly import eagerly
from keras_ood.backend.settings import own_settings

_drawing = threading.local()


def drawing() -> bool:
    """Return whether variables have no values here, so that there is nothing to copy from one to the other."""
    return getattr(_drawing, "now", False)


def count_numbers(build: Callable[[], Any]) -> int:
    """Return how many numbers all the variables hold that `build` makes, each copy counted; none of them is allocated.

    What `build` raises is raised here. Python's random numbers, which seed Keras' initializers, are as before.
    """

    def draw() -> int:
        _drawing.now = True
        with keras.StatelessScope(initialize_variables=False), own_settings("float32"):
            build()
            made = global_state.get_global_attribute("uninitialized_variables", [])
            return sum(math.prod(variable.shape) for variable in made)

    state = random.getstate()
    try:
        return eagerly(draw)  # Keras keeps its notes for each thread: with that one they go
    finally:
        random.setstate(state)
