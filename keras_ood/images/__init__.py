"""Images: every accepted source as checked batches, and the preprocessing that all of them take.

What the stub beside this file names is imported at first use: the command reads paths without Keras.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
