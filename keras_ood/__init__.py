"""keras_ood: pretrained, calibrated out-of-distribution detectors for Keras 3.

What the stub beside this file names is imported at first use: Keras, and with it TensorFlow or JAX, once something needs it.
"""

from importlib.metadata import version

import lazy_loader

from keras_ood import registration

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = version("keras-ood")

registration.register()
