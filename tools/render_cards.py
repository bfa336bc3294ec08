"""Render the cards of the zoo, the README's tables and the benchmark's report again, from what was measured."""

from pathlib import Path

from keras_ood.benchmark import speed, write_report
from keras_ood.cards import card
from keras_ood.export.measured import MeasuredExport
from keras_ood.hub import handles
from keras_ood.tables.markdown import put_between
from keras_ood.tables.records import read_rows

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Write every `zoo/*/README.md`, the tables in `README.md`, and `benchmark/README.md` with its page."""
    exports = read_rows(ROOT / "benchmark" / "exports.csv", MeasuredExport)
    for name in handles.list_models():
        card.write(handles.zoo_folder() / name, exports=exports)
    readme = ROOT / "README.md"
    text = readme.read_text()
    for name, table in (("presets", card.preset_table()), ("speed", speed.table(ROOT / "benchmark"))):
        text = put_between(text, f"<!-- {name} -->\n", f"<!-- /{name} -->", f"{table}\n")
    readme.write_text(text)
    write_report(ROOT / "benchmark")


if __name__ == "__main__":
    main()
