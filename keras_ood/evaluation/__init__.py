"""Evaluation: a detector measured on in-distribution against out-of-distribution images.

What the stub beside this file names is imported at first use: scoring takes the judge alone.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
