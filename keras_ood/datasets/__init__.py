"""Data sets by name, image files, and synthetic out-of-distribution images."""

from keras_ood.datasets.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from keras_ood.datasets.defects import DEFECTS, damage
from keras_ood.datasets.gcompris import photographs
from keras_ood.datasets.masked import MaskedImages, masked_images
from keras_ood.datasets.named import named_images
from keras_ood.datasets.registry import DATASETS, DataSet, get, load, local_file
from keras_ood.datasets.synthetic import GENERATED, SYNTHETIC, synthesize
from keras_ood.datasets.textures import TEXTURES, textures
from keras_ood.datasets.unit_images import UNIT_IMAGES

__all__ = [
    "CORRUPTIONS",
    "DATASETS",
    "DEFECTS",
    "GENERATED",
    "SEVERITIES",
    "SYNTHETIC",
    "TEXTURES",
    "UNIT_IMAGES",
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
