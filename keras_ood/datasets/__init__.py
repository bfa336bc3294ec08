"""Data sets by name, image files, and synthetic out-of-distribution images."""

from keras_ood.datasets.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from keras_ood.datasets.gcompris import photographs
from keras_ood.datasets.named import named_images
from keras_ood.datasets.registry import DATASETS, DataSet, get, load, local_file
from keras_ood.datasets.synthetic import SYNTHETIC, synthesize

__all__ = [
    "CORRUPTIONS",
    "DATASETS",
    "SEVERITIES",
    "SYNTHETIC",
    "DataSet",
    "corrupt",
    "get",
    "load",
    "local_file",
    "named_images",
    "photographs",
    "synthesize",
]
