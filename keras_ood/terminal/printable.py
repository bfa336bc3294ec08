"""What strangers wrote, on a terminal and in a table."""

FORMULAS = ("=", "+", "-", "@")
"""What a cell begins with that spreadsheets compute."""


def printable(text: str) -> str:
    r"""Return a text with escapes in the place of what a terminal would obey, or not show.

    >>> print(printable("a\x1b[2J"))
    a\x1b[2J
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def as_text(name: object) -> str:
    """Return a file's name as a table has it: Unicode that can be printed, and no formula; `./` before a name changes no path.

    >>> as_text("=1+1.png"), as_text("photos/=1+1.png")
    ('./=1+1.png', 'photos/=1+1.png')
    """
    text = printable(str(name).encode("utf-8", "backslashreplace").decode())
    return f"./{text}" if text.startswith(FORMULAS) else text
