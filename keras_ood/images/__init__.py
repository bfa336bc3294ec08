"""Images: every accepted source as checked batches, and the preprocessing that all of them take."""

from keras_ood.images.decoding import Decoding
from keras_ood.images.image_files import ImageFiles, UnreadableImageError
from keras_ood.images.image_warning import ImageWarning
from keras_ood.images.preprocessing import Preprocessing

__all__ = ["Decoding", "ImageFiles", "ImageWarning", "Preprocessing", "UnreadableImageError"]
