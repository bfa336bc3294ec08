from .decoding import Decoding
from .image_files import ImageFiles, UnreadableImageError
from .image_warning import ImageWarning
from .preprocessing import Preprocessing

__all__ = ["Decoding", "ImageFiles", "ImageWarning", "Preprocessing", "UnreadableImageError"]
