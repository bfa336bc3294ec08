from .evaluate import evaluate
from .evaluate_masks import MaskRow, evaluate_masks
from .localisation import localisation
from .report import Report, Row
from .spectrum import spectrum
from .spectrum_row import SpectrumRow

__all__ = ["MaskRow", "Report", "Row", "SpectrumRow", "evaluate", "evaluate_masks", "localisation", "spectrum"]
