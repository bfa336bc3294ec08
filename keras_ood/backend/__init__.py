"""What differs between the backends and machines.

Every room that computes imports this one, which refuses a backend that none can compute on.
"""

import keras

if keras.backend.backend() not in ("tensorflow", "jax"):
    raise ImportError(
        "keras_ood runs on the Keras backends 'tensorflow' and 'jax': TensorFlow Probability has no substrate for others. "
        f"Set KERAS_BACKEND before Keras is imported. Received: {keras.backend.backend()!r}"
    )
