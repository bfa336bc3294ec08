"""Render the cards of the zoo, the tables of README and docs and the benchmark's report again, from what was measured."""

from collections.abc import Callable
from pathlib import Path

import page_tables

from keras_ood.benchmark import speed, write_report
from keras_ood.cards import card
from keras_ood.export.measured import MeasuredExport
from keras_ood.hub import handles
from keras_ood.tables.markdown import put_between
from keras_ood.tables.records import read_rows

ROOT = Path(__file__).parents[1]
BENCHMARK = ROOT / "benchmark"
TABLES: dict[str, Callable[[], str]] = {
    "README.md": lambda: page_tables.choices(BENCHMARK),
    "docs/zoo.md": page_tables.presets,
    "docs/speed.md": lambda: speed.table(BENCHMARK),
}
"""The table that each page has between `BEGIN` and `END`."""
BEGIN, END = "<!-- make cards -->", "<!-- end of the table -->"


def main() -> None:
    """Write every `zoo/*/README.md`, the tables of `TABLES`, and `benchmark/README.md` with its page."""
    exports = read_rows(BENCHMARK / "exports.csv", MeasuredExport)
    for name in handles.list_models():
        card.write(handles.zoo_folder() / name, exports=exports)
    for page in TABLES:
        (ROOT / page).write_text(rendered(page))
    write_report(BENCHMARK)


def rendered(page: str) -> str:
    """Return the text of a page with its table as it is made today."""
    return put_between((ROOT / page).read_text(), BEGIN, END, f"\n\n{TABLES[page]()}\n\n")


if __name__ == "__main__":
    main()
