"""The report as one page for a browser, whose numbers a reader can filter and sort; it loads nothing."""

import base64
import io
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import jinja2
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from keras_ood.benchmark.means import Rows
from keras_ood.benchmark.measurement import Measurement
from keras_ood.benchmark.networks import ALL_SEEDS
from keras_ood.benchmark.questions import question
from keras_ood.benchmark.section import Section

COLUMNS = ("preset", "score", "set", "question", "trained", "auroc", "deviation", "seeds", "images")
"""Of the numbers on the page; the first four are places in the lists of names beside them."""


def render(introduction: str, leaderboard: Sequence[Section], sections: Sequence[Section], rows: Rows) -> str:
    """Return the page: leaderboard, every number, tables; without JavaScript the tables are there all the same."""
    fields = {
        "introduction": introduction,
        "leaderboard": leaderboard,
        "sections": [(section, _picture(section.figure)) for section in sections],
        "numbers": numbers(rows),
    }
    return _ENVIRONMENT.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(fields) + "\n"


def numbers(rows: Rows) -> dict[str, Any]:
    """Return mean AUROC and its deviation over the seeds for every preset, score and set, trained and untrained.

    Returns:
        `{columns: COLUMNS, presets: [{name, looks_at, inside, default_score}], scores, sets, questions, rows}`, plain data;
        the number of seeds is `"all"` for a score of their ensemble.
    """
    groups: dict[tuple[str, ...], list[Measurement]] = {}
    presets: dict[str, dict[str, str]] = {}
    for row in rows:
        asked = question(row.in_distribution, row.out_of_distribution)
        key = (row.preset, row.label, row.out_of_distribution, asked, row.weights)
        groups.setdefault(key, []).append(row)
        presets[row.preset] = {
            "name": row.preset,
            "looks_at": row.looks_at,
            "inside": row.in_distribution,
            "default_score": row.default_score,
        }
    names = [list(dict.fromkeys(key[place] for key in groups)) for place in range(4)]
    places = [{name: place for place, name in enumerate(found)} for found in names]
    found = [
        [*(places[place][key[place]] for place in range(4)), int(key[4] == "trained"), *_measured(group)]
        for key, group in groups.items()
    ]
    listed = dict(zip(("scores", "sets", "questions"), names[1:], strict=True))
    return {"columns": COLUMNS, "presets": [presets[name] for name in names[0]], **listed, "rows": found}


def _measured(group: Rows) -> list[Any]:
    """Mean AUROC, its deviation, the number of seeds and that of images."""
    values = [row.auroc for row in group]
    deviation = round(stdev(values), 4) if len(values) > 1 else None
    seeds = ALL_SEEDS if group[0].seed == ALL_SEEDS else len(values)
    return [round(mean(values), 4), deviation, seeds, group[0].in_images]


def _picture(figure: Figure | None) -> str | None:
    """A figure as a `data:` address."""
    if figure is None:
        return None
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _prose(text: str) -> Markup:
    """Text with the code and the emphasis of Markdown; links, which hold in the repository alone, become their words."""
    found = str(escape(text)).replace(" ± ", "\u00a0±\u00a0").replace(" (", "\u00a0(")  # a number and what belongs to it
    found = re.sub(r"`([^`]+)`", r"<code>\1</code>", found)
    found = re.sub(r"\*([^*]+)\*", r"<em>\1</em>", found)
    return Markup(re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", found))


_TEMPLATE = Path(__file__).parent / "templates" / "page.html.jinja"
_ENVIRONMENT = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True)
_ENVIRONMENT.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
_ENVIRONMENT.filters["prose"] = _prose
