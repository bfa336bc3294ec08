"""The devices that a batch is spread over: those of `keras.distribution.DataParallel`, where one is set."""

from typing import Any

import keras
import numpy as np
from keras import ops


def replicas() -> int:
    """Return how many devices share a batch; 1 where none is set."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return 1
    mesh = distribution.device_mesh  # `num_model_replicas` came with Keras 3.13
    return int(mesh.shape[mesh.axis_names.index(distribution.batch_dim_name)])


def spread(batch: np.ndarray) -> Any:
    """Return a batch, whose length is a multiple of `replicas()`, as a tensor of which each device holds its part."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return ops.convert_to_tensor(batch)
    if keras.backend.backend() != "jax":
        raise ValueError(f"Keras spreads batches over devices on JAX alone. Received: backend {keras.backend.backend()!r}")
    return keras.distribution.distribute_tensor(batch, distribution.get_data_layout(batch.shape))


def gpu_name() -> str | None:
    """Return the name of the GPU that the backend computes on, None where it computes on a CPU."""
    if keras.backend.backend() == "jax":
        import jax

        device = jax.devices()[0]
        return str(device.device_kind) if device.platform == "gpu" else None
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    return str(tf.config.experimental.get_device_details(found[0]).get("device_name", "GPU")) if found else None


def xla_on_cpu() -> bool:
    """Return whether XLA computes, on a CPU."""
    if keras.backend.backend() != "jax":
        return False
    import jax

    return bool(jax.devices()[0].platform == "cpu")


def compute_capability() -> tuple[int, int] | None:
    """Return the compute capability of the NVIDIA GPU that the backend computes on, None where it is no GPU."""
    if gpu_name() is None:
        return None
    if keras.backend.backend() == "jax":
        import jax

        major, _, minor = str(getattr(jax.devices()[0], "compute_capability", "")).partition(".")
        return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)  # of other makers' GPUs
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(found[0]).get("compute_capability", (0, 0))  # type: ignore[no-any-return]
