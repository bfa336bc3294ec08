"""The optimizer that trainings share."""

import keras


def cosine_adam(learning_rate: float, images: int, batch_size: int, epochs: int) -> keras.optimizers.Adam:
    """Return Adam with clipped gradients, whose learning rate half a cosine takes to 0 over so many passes over the images."""
    steps = -(-images // batch_size) * epochs
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps), clipnorm=100.0)
