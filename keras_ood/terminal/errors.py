"""Errors and warnings that a user can do something about: shown in a line, without a traceback."""

MENDABLE = (ValueError, OSError, RuntimeError, ArithmeticError)
"""What the commands and the app report; anything else is a fault of this package."""


class ImageWarning(UserWarning):
    """Files or frames were left out, or an image that cannot be read was skipped."""
