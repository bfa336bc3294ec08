"""Evaluation: a detector measured on in-distribution against out-of-distribution images."""

from keras_ood.evaluation.evaluate import evaluate
from keras_ood.evaluation.evaluate_masks import MaskRow, evaluate_masks
from keras_ood.evaluation.localisation import localisation
from keras_ood.evaluation.report import Report, Row
from keras_ood.evaluation.spectrum import spectrum
from keras_ood.evaluation.spectrum_row import SpectrumRow

__all__ = ["MaskRow", "Report", "Row", "SpectrumRow", "evaluate", "evaluate_masks", "localisation", "spectrum"]
