"""Help with names that are nearly right."""

import difflib
from collections.abc import Iterable, Sequence


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return a sentence that offers up to three close names, with a space before it; nothing where none is close.

    >>> did_you_mean("mnits", ["mnist", "cifar10"])
    " Did you mean 'mnist'?"
    """
    close = difflib.get_close_matches(str(name), list(known), n=3)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


def check_options(given: Iterable[str], known: Sequence[str]) -> None:
    """Refuse the name of an option that there is not.

    Raises:
        TypeError: Names it, and one that is close.
    """
    for name in given:
        if name not in known:
            raise TypeError(f"Options are {', '.join(known)}.{did_you_mean(name, known)} Received: {name!r}")
