"""Images to try a detector on, made when they are asked for."""

import numpy as np
from PIL import Image

from keras_ood import datasets
from keras_ood.app.session import Session
from keras_ood.datasets.synthetic import applicable

_OF_EACH, _SYNTHETIC = 3, ("rotated", "inverted", "blurred", "noise")


def examples(session: Session) -> list[tuple[Image.Image, str]]:
    """Return in-distribution images where some are at hand, digits, and synthetic images, with a word on each."""
    digits = datasets.load("digits", "test")[0]
    inside = digits if session.inside is None else np.round(255 * session.inside).astype(np.uint8)
    found = [] if session.inside is None else [(image, "in-distribution") for image in inside[:_OF_EACH]]
    if session.title != datasets.get("digits").title:
        found += [(image, "digit") for image in digits[:_OF_EACH]]
    made = inside[_OF_EACH : _OF_EACH + 1]
    possible = applicable(made.shape[1:])
    found += [(datasets.synthesize(name, made)[0], name) for name in _SYNTHETIC if name in possible]
    return [(Image.fromarray(image.squeeze(axis=-1) if image.shape[-1] == 1 else image), word) for image, word in found]
