"""The only import of TensorFlow Probability: the substrate of the active Keras backend.

`tfb` holds the bijectors, `tfd` the distributions, `samplers` the stateless seeds (`seed_key` makes one of a Python integer,
on both backends alike), `rejection_sampler` TFP's batched rejection sampler, `ParameterProperties` and
`BatchedComponentProperties` what a distribution or bijector says of its arguments.
"""

import importlib.metadata
from typing import Any

import keras
import numpy as np

_BACKEND = keras.backend.backend()

if _BACKEND == "tensorflow":
    import tensorflow as tf
    import tensorflow_probability as _tfp
    from tensorflow_probability.python.internal import batched_rejection_sampler as _rejection
    from tensorflow_probability.python.internal import parameter_properties as _properties
    from tensorflow_probability.python.internal import samplers
else:  # "jax": the package refuses any other backend
    import jax

    if importlib.metadata.version("tensorflow-probability").startswith("0.25."):
        # TFP 0.25 looks the table up where JAX 0.5 still had it (mended at TFP's head, unreleased); later ones warn there.
        from jax._src import core as _core

        jax.interpreters.xla.pytype_aval_mappings = _core.pytype_aval_mappings
    from tensorflow_probability.substrates import jax as _tfp
    from tensorflow_probability.substrates.jax.internal import batched_rejection_sampler as _rejection
    from tensorflow_probability.substrates.jax.internal import parameter_properties as _properties
    from tensorflow_probability.substrates.jax.internal import samplers

tfb = _tfp.bijectors
tfd = _tfp.distributions
rejection_sampler = _rejection.batched_rejection_sampler
BatchedComponentProperties = _properties.BatchedComponentProperties
ParameterProperties = _properties.ParameterProperties


def seed_key(seed: Any) -> Any:
    """The stateless seed for a Python integer; any other seed is returned as it is."""
    if not isinstance(seed, (int, np.integer)):
        return seed
    return jax.random.PRNGKey(seed) if _BACKEND == "jax" else tf.constant([0, seed], tf.int32)


__all__ = ["BatchedComponentProperties", "ParameterProperties", "rejection_sampler", "samplers", "seed_key", "tfb", "tfd"]
