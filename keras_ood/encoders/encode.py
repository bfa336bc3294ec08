"""The features of images."""

from typing import Any

import keras
import numpy as np

from keras_ood.backend.settings import under_own_settings
from keras_ood.images.no_images import at_least_one
from keras_ood.images.preprocessing import Preprocessing
from keras_ood.images.sources import iterate_batches


@under_own_settings
def encode(encoder: keras.Model, images: Any, batch_size: int = 256) -> np.ndarray:
    """Return the features of any accepted source of images, float32 `(N, features)`."""
    preprocessing = Preprocessing(encoder.input_shape[1:])
    batches = iterate_batches(images, batch_size, preprocessing)
    features = at_least_one(keras.ops.convert_to_numpy(encoder(preprocessing(batch))) for batch in batches)
    return np.concatenate(features).astype(np.float32)
