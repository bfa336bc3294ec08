"""Exports of keras-ood detectors, run with NumPy, Pillow and ONNX Runtime alone."""

from keras_ood_runtime.decoding import Decoding
from keras_ood_runtime.image_files import ImageFiles, UnreadableImageError
from keras_ood_runtime.image_warning import ImageWarning
from keras_ood_runtime.runner import Runner

__all__ = ["Decoding", "ImageFiles", "ImageWarning", "Runner", "UnreadableImageError"]
