"""The benchmark: every score on every detector and pair of data sets, by one command."""

from keras_ood.benchmark.cell import Cell, Limits
from keras_ood.benchmark.rates import measure_rates
from keras_ood.benchmark.report import write_report
from keras_ood.benchmark.runner import plan, run

__all__ = ["Cell", "Limits", "measure_rates", "plan", "run", "write_report"]
