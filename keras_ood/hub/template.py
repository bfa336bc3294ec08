"""Texts from templates of Jinja; a field that is missing is an error."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from huggingface_hub import ModelCard, ModelCardData


def fill(template: Path, fields: Mapping[str, Any]) -> str:
    """Return a template's text with its fields filled in, without a line break at its end.

    Beside Jinja's own filters there are `thousands` (12345.6 to `12,346`) and `percent` (0.051 to `5%`, with `percent(1)` to
    `5.1%`).

    Args:
        template: A file of Markdown, `*.md.jinja`.
        fields: What it may name; more than it does is no error.

    Raises:
        KeyError: It names a field that is not there.
    """
    try:
        return _ENVIRONMENT.from_string(template.read_text(encoding="utf-8")).render(fields)
    except jinja2.UndefinedError as error:
        raise KeyError(f"{template.name}: {error}") from error


def render_card(data: ModelCardData, template: Path, fields: Mapping[str, Any]) -> str:
    """Return the text of a model card, of which a template calls the head `card_data`; see `fill`."""
    return str(ModelCard(fill(template, {**fields, "card_data": data.to_yaml()}) + "\n"))


class _Missing(jinja2.StrictUndefined):
    """A field that is not there: to ask whether it is, is no error; any other use is, in a format too."""

    def __format__(self, specification: str) -> str:
        return str(self)


def _percent(share: float, digits: int = 0) -> str:
    return f"{share:.{digits}%}"


# `ModelCard.from_template` would leave a gap where a field is missing.
_ENVIRONMENT = jinja2.Environment(undefined=_Missing, trim_blocks=True, lstrip_blocks=True)
_ENVIRONMENT.filters |= {"thousands": "{:,.0f}".format, "percent": _percent}
