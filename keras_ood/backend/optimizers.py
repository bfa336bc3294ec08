"""The optimizer of every training."""

import keras

CLIP_NORM = 100.0


def adam(learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 1e-3) -> keras.optimizers.Adam:
    """Return Adam with gradients clipped to a norm of 100."""
    return keras.optimizers.Adam(learning_rate, clipnorm=CLIP_NORM)


def cosine_adam(learning_rate: float, images: int, batch_size: int, epochs: int) -> keras.optimizers.Adam:
    """Return `adam` with a learning rate that half a cosine takes to 0 over so many passes over the images."""
    steps = -(-images // batch_size) * epochs
    return adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps))
