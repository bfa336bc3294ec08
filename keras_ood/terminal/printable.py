"""What strangers wrote, on a terminal."""


def printable(text: str) -> str:
    r"""Return a text with escapes in the place of what a terminal would obey, or not show.

    >>> print(printable("a\x1b[2J\nb"))
    a\x1b[2J\nb
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
