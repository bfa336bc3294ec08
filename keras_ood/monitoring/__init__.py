"""A stream of images watched for a change: a conformal test martingale, a test of windows, what dependent frames do to them."""

from keras_ood.monitoring.martingale import ConformalMartingale
from keras_ood.monitoring.monitor import Monitor, Record
from keras_ood.monitoring.pool import RankedPool
from keras_ood.monitoring.thinning import suggested_thinning
from keras_ood.monitoring.windowed_test import WindowedTest, WindowRecord

__all__ = ["ConformalMartingale", "Monitor", "RankedPool", "Record", "WindowRecord", "WindowedTest", "suggested_thinning"]
