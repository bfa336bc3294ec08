"""Whether plain data is of its type: JSON that a stranger wrote."""

from collections.abc import Iterator
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict


def mistyped(value: Any, kind: Any, name: str = "") -> Iterator[str]:
    """Yield in words what is not of its type; a key that a typed dictionary does not name may hold anything.

    Args:
        value: Data as `json` reads it.
        kind: A typed dictionary, a list, a dictionary, a union, `float` (which whole numbers are, too) or another class.
        name: What the value is called.

    Examples:
        >>> list(mistyped({"a": [1, True]}, dict[str, list[int]]))
        ["['a'][1] of type bool, not int"]
    """
    origin, parts = get_origin(kind), get_args(kind)
    container = dict if is_typeddict(kind) else origin
    if kind is Any:
        return
    if isinstance(kind, UnionType):
        if all(any(mistyped(value, part)) for part in parts):
            yield f"{name} of type {type(value).__name__}, not {kind}"
    elif container in (dict, list):
        if type(value) is not container:
            yield f"{name} of type {type(value).__name__}, not {container.__name__}"
        elif container is list:
            for index, item in enumerate(value):
                yield from mistyped(item, parts[0], f"{name}[{index}]")
        elif is_typeddict(kind):
            yield from (f"no {key!r} in {name or 'it'}" for key in sorted(kind.__required_keys__ - set(value)))
            for key, hint in get_type_hints(kind).items():
                if key in value:
                    yield from mistyped(value[key], hint, f"{name}[{key!r}]")
        else:
            for key, item in value.items():
                yield from mistyped(item, parts[1], f"{name}[{key!r}]")
    elif type(value) is not kind and not (kind is float and type(value) is int):
        yield f"{name} of type {type(value).__name__}, not {kind.__name__}"
