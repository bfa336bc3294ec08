"""Render the cards of the zoo and the README's tables again, from what training and the speed benchmark wrote."""

from pathlib import Path

from keras_ood.benchmark import speed
from keras_ood.cards import card
from keras_ood.export.measured import MeasuredExport
from keras_ood.hub import handles
from keras_ood.tables.markdown import put_between
from keras_ood.tables.records import read_rows

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Write every `zoo/*/README.md` and the tables in `README.md`."""
    exports = read_rows(ROOT / "benchmark" / "exports.csv", MeasuredExport)
    for name in handles.list_models():
        card.write(handles.zoo_folder() / name, exports=exports)
    readme = ROOT / "README.md"
    text = readme.read_text()
    for name, table in (("presets", card.preset_table()), ("speed", speed.table(ROOT / "benchmark"))):
        text = put_between(text, f"<!-- {name} -->\n", f"<!-- /{name} -->", f"{table}\n")
    readme.write_text(text)


if __name__ == "__main__":
    main()
