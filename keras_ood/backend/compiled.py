"""Functions of arrays and of a model's weights, compiled on the active backend; NumPy in, NumPy out.

A function that is given its `model` sees the weights as they are at each call. Without, JAX keeps those of the first call:
right for networks that nobody trains any more.
"""

from collections.abc import Callable, Collection
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ood.backend.devices import spread
from keras_ood.backend.settings import under_own_settings

Function = Callable[..., Any]
Pending = Callable[[], dict[str, np.ndarray]]


def is_concrete(value: Any) -> bool:
    """Return whether a value is an array whose numbers are at hand: not a tensor of a graph that is being traced."""
    if isinstance(value, (np.ndarray, keras.Variable)):
        return True
    if not ops.is_tensor(value):
        return False
    if keras.backend.backend() == "jax":
        import jax

        return not isinstance(value, jax.core.Tracer)
    return hasattr(value, "numpy")


def launch(function: Function, model: keras.Model) -> Callable[..., Pending]:
    """Return the function that starts a compiled pass and comes back at once, with the function that waits for its values.

    It is given images, noise or None, and the names of the values that are asked for, or None for all: no other is computed.

    Args:
        function: From `(batch, ...)` images, or `{"images": images, "noise": noise}`, to a dictionary of tensors.
        model: Whose weights `function` uses.
    """

    def given(images: Any, *noise: Any) -> Any:
        return function({"images": images, "noise": noise[0]} if noise else images)

    every = compiled(given, model, any_batch=True)
    graphs: dict[frozenset[str] | None, Function] = {None: every}

    def of(names: frozenset[str]) -> Function:  # traced once: a graph of some values is one of all, less what they do not take
        return compiled(lambda *t: {name: value for name, value in every(*t).items() if name in names}, model, any_batch=True)

    @under_own_settings
    def start(images: Any, noise: np.ndarray | None = None, names: Collection[str] | None = None) -> Pending:
        asked = None if names is None else frozenset(names)
        if asked is not None and asked not in graphs:
            graphs[asked] = of(asked)
        sent = spread(images)
        found = graphs[asked](sent) if noise is None else graphs[asked](sent, ops.convert_to_tensor(noise))
        return lambda: {name: np.asarray(ops.convert_to_numpy(value)) for name, value in found.items()}

    return start


def forward(function: Function, model: keras.Model) -> Function:
    """Return `function(*arrays)`, compiled."""
    return _numpy(compiled(function, model))


def compiled(function: Function, model: keras.Model, any_batch: bool = False) -> Function:
    """Return `function` of tensors, compiled once for each shape, with the model's weights as they are at each call.

    Args:
        function: From tensors to tensors.
        model: Whose weights `function` uses.
        any_batch: Whether the first tensor is a batch of any length: one graph of TensorFlow is for all.
    """
    function = under_own_settings(function)
    if keras.backend.backend() == "jax":
        import jax

        return _bound(jax.jit(_stateless(function, model)), model)
    return _graphs(function, model, any_batch)


def _graphs(function: Function, model: keras.Model | None, any_batch: bool = False) -> Function:
    """`function` of tensors as a TensorFlow graph for each shape; `tf.function` alone warns users that there are several.

    A graph goes with the variables that it reads: a model that gets others, as by `quantize`, gets other graphs.
    """
    import tensorflow as tf

    graphs: dict[Any, Function] = {}

    def call(*tensors: Any) -> Any:
        variables = () if model is None else tuple(map(id, model.variables))
        specs = [tf.TensorSpec.from_tensor(tensor) for tensor in tensors]
        if any_batch:
            specs[0] = tf.TensorSpec([None, *specs[0].shape[1:]], specs[0].dtype)
        key = (variables, *((tuple(spec.shape), spec.dtype) for spec in specs))
        if key not in graphs:
            graphs[key] = tf.function(function, autograph=False).get_concrete_function(*specs)
        return graphs[key](*tensors)

    return call


def value_and_gradient(function: Function, model: keras.Model | None = None) -> Function:
    """Return the function that gives `function(x, *others)` and the gradient of its sum with respect to `x`.

    Args:
        function: From an array `(batch, ...)` and others to `(batch,)` numbers, each a function of its own row of `x`.
        model: Whose weights `function` uses.
    """
    function = under_own_settings(function)
    if keras.backend.backend() == "jax":
        import jax

        pure = _stateless(function, model)

        def total(x: Any, weights: Any, *others: Any) -> tuple[Any, Any]:
            values = pure(weights, x, *others)
            return ops.sum(values), values

        differentiated = jax.grad(total, has_aux=True)

        def both(weights: Any, x: Any, *others: Any) -> tuple[Any, Any]:
            slope, values = differentiated(x, weights, *others)
            return values, slope

        return _numpy(_bound(jax.jit(both), model))
    import tensorflow as tf

    def taped(x: Any, *others: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            values = function(x, *others)
            total = tf.reduce_sum(values)
        return values, tape.gradient(total, x)

    return _numpy(_graphs(taped, model))


def gradient(function: Function) -> Function:
    """Return the gradient of `sum(function(x, *others))` with respect to `x`, for networks that nobody trains any more."""
    both = value_and_gradient(function)
    return lambda *arrays: both(*arrays)[1]


def weight_gradient_norms(function: Function, model: keras.Model) -> Function:
    """Return the function that gives, for each image of a batch, the squared norm of its gradient in every weight.

    Args:
        function: From `(1, ...)` images to `(1,)` numbers.
        model: Whose trainable weights the gradient is taken of.

    Returns:
        A function from `(batch, ...)` to `(batch, number of trainable weights)`.
    """
    function = under_own_settings(function)
    if keras.backend.backend() == "jax":
        import jax

        pure = _stateless(function, model)
        trainable = [index for index, variable in enumerate(model.variables) if variable.trainable]

        def norms(weights: Any, images: Any) -> Any:
            def value(part: Any, image: Any) -> Any:
                values = list(weights)
                for index, weight in zip(trainable, part, strict=True):
                    values[index] = weight
                return pure(values, image[None])[0]

            def one(image: Any) -> Any:
                slopes = jax.grad(value)([weights[index] for index in trainable], image)
                return ops.stack([ops.sum(ops.square(slope)) for slope in slopes])

            return jax.vmap(one)(images)

        return _numpy(_bound(jax.jit(norms), model))
    import tensorflow as tf

    def taped(images: Any) -> Any:
        def one(image: Any) -> Any:
            weights = [variable.value for variable in model.trainable_variables]
            with tf.GradientTape() as tape:
                value = function(image[None])[0]
            return tf.stack([tf.reduce_sum(tf.square(slope)) for slope in tape.gradient(value, weights)])

        # Not `tf.vectorized_map`: it aborts the process at the filters' gradient of some convolutions (TensorFlow 2.21, CPU).
        return tf.map_fn(one, images)

    return _numpy(_graphs(taped, model))


def _stateless(function: Function, model: keras.Model | None) -> Function:
    """`function` as a pure one of the model's weights and of arrays."""

    def pure(weights: Any, *arrays: Any) -> Any:
        if model is None:
            return function(*arrays)
        with keras.StatelessScope(state_mapping=list(zip(_variables(model), weights, strict=True))):
            return function(*arrays)

    return pure


def _bound(pure: Function, model: keras.Model | None) -> Function:
    """A pure function of weights and tensors as one of tensors, the weights those of `model` at each call."""
    return lambda *tensors: pure([] if model is None else [variable.value for variable in _variables(model)], *tensors)


def _variables(model: Any) -> list[Any]:
    """The model's variables, and those of a network that it shares with others: arguments of a pass, not constants in it."""
    return [*model.variables, *getattr(model, "borrowed_variables", ())]


def _numpy(compiled: Function) -> Function:
    @under_own_settings
    def call(*arrays: Any) -> Any:
        found = compiled(*(ops.convert_to_tensor(array) for array in arrays))
        return keras.tree.map_structure(lambda part: np.asarray(ops.convert_to_numpy(part)), found)

    return call
