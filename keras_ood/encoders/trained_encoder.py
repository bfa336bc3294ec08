"""An encoder that a detector has trained."""

from typing import Any

import keras


def trained_encoder(detector: Any) -> keras.Sequential:
    """Return a copy of a detector's encoder, such as a zoo TiltedVAE's: the features before its latent heads."""
    if not isinstance(detector.encoder, keras.Sequential):
        raise ValueError(f"`detector` must have an `encoder`, as a TiltedVAE has. Received: {type(detector).__name__}")
    encoder = keras.models.clone_model(detector.encoder)
    encoder.set_weights(detector.encoder.get_weights())
    return encoder
