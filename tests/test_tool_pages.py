"""The pages of the documentation hold what the tools make of the tables in `benchmark/`."""

from pathlib import Path

import pytest

from keras_ood.tables.markdown import put_between
from keras_ood.tables.records import read_records

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.once

# Page, table, the tool that writes it, what makes the report where that is another one.
PAGES = [
    ("exports.md", "exports.csv", "measure_exports", None),
    ("localisation.md", "localisation.csv", "compare_localisation", None),
    ("monitoring.md", "monitoring.csv", "simulate_monitoring", None),
    ("peers.md", "anomalib.csv", "compare_anomalib", None),
    ("peers.md", "conformal.csv", "compare_conformal", None),
    ("peers.md", "peers.csv", "compare_peers", None),
    ("scaling.md", "precision.csv", "compare_precision", None),
    ("scaling.md", "scale.csv", "measure_scale", "scale_tables"),
    ("spectrum.md", "spectrum.csv", "measure_spectrum", None),
    ("versions.md", "versions.csv", "run_matrix", None),
]


@pytest.mark.parametrize(("page", "table", "writer", "reporter"), PAGES, ids=[row[1] for row in PAGES])
def test_the_page_holds_the_tables_of_the_file(page, table, writer, reporter, tool):
    """A page is what `--report` makes of its table: no number in it was written by hand."""
    text, rows = (ROOT / "docs" / page).read_text(), read_records(ROOT / "benchmark" / table)
    assert text == put_between(text, *tool("table_file").marks(f"{writer}.py"), tool(reporter or writer).report(rows))


def test_every_tool_that_reports_is_tested(tool):
    """What writes tables into pages is in the list above."""
    found = {path.stem for path in (ROOT / "tools").glob("*.py") if "= begun(parser" in path.read_text()}
    assert found == {row[2] for row in PAGES}


def test_a_page_without_marks_is_refused():
    """Nothing is written where the tables have no place."""
    with pytest.raises(ValueError, match="A page for the report holds"):
        put_between("nothing", "<a>", "<b>", "new")
