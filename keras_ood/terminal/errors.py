"""Errors that a user can do something about: shown in a line, without a traceback."""

MENDABLE = (ValueError, OSError, RuntimeError, ArithmeticError)
"""What the commands and the app report; anything else is a fault of this package."""
