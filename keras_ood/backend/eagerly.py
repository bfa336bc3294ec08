"""What is made while a pass is traced, made outside of it."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

Made = TypeVar("Made")


def eagerly(make: Callable[[], Made]) -> Made:
    """Return `make()`, called where no graph is being traced and no scope of Keras is open: in a thread of its own."""
    made: list[Made] = []
    raised: list[BaseException] = []

    def call() -> None:
        try:
            made.append(make())
        except BaseException as error:
            raised.append(error)

    thread: Any = threading.Thread(target=call)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return made[0]
