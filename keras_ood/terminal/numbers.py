"""Numbers that a caller wrote: no text, no truth value, no fraction where a whole one is due."""

from numbers import Integral, Real


def is_whole(value: object, least: int) -> bool:
    """Return whether `value` is a whole number, of Python or NumPy, of at least `least`.

    >>> is_whole(3, 1), is_whole(0, 1), is_whole(True, 1), is_whole("3", 1), is_whole(3.0, 1)
    (True, False, False, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def is_between(value: object, low: float, high: float) -> bool:
    """Return whether `value` is a number above `low` and below `high`.

    >>> is_between(0.5, 0, 1), is_between(0, 0, 1), is_between(float("nan"), 0, 1), is_between("0.5", 0, 1)
    (True, False, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool) and low < float(value) < high
