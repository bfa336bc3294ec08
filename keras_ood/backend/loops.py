"""Keras' training loops, of which one that fails leaves the model as it was after the last step."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras


@contextmanager
def give_variables_back(model: keras.Model) -> Iterator[None]:
    """Put values back into the variables of a model whose loop raises.

    On JAX, Keras takes them away while a loop runs and gives them back at the end of an epoch: an exception before, be it that
    of a batch that cannot be read, would leave a model without weights.
    """
    if keras.backend.backend() != "jax":
        yield
        return
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        optimizer.build(model.trainable_variables)  # in the loop it would be too late to note its variables
    variables = [*model.variables, *(optimizer.variables if optimizer is not None else ())]
    before = [variable.value for variable in variables]
    try:
        yield
    except BaseException:
        model.jax_state_sync()  # the last step's, where one was done
        for variable, value in zip(variables, before, strict=True):
            if variable._value is None:
                variable.assign(value)
        raise
