"""Data sets by name, image files, and synthetic out-of-distribution images."""

from keras_ood.datasets.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from keras_ood.datasets.defects import DEFECTS, damage
from keras_ood.datasets.gcompris import photographs
from keras_ood.datasets.masked import MaskedImages, masked_images
from keras_ood.datasets.named import named_images
from keras_ood.datasets.registry import DATASETS, DataSet, get, load, local_file
from keras_ood.datasets.synthetic import SYNTHETIC, synthesize
from keras_ood.datasets.textures import TEXTURES, textures

__all__ = [
    "CORRUPTIONS",
    "DATASETS",
    "DEFECTS",
    "SEVERITIES",
    "SYNTHETIC",
    "TEXTURES",
    "DataSet",
    "MaskedImages",
    "corrupt",
    "damage",
    "get",
    "load",
    "local_file",
    "masked_images",
    "named_images",
    "photographs",
    "synthesize",
    "textures",
]
