"""What `tools/run_matrix.py` counts, and the page that it writes."""

from pathlib import Path

import pytest

from keras_ood.tables.markdown import put_between
from keras_ood.tables.records import read_records

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.once


def test_counts_by_hand(tool):
    """Errors are failures, and what is neither failed nor skipped passed."""
    suite = '<testsuites><testsuite tests="10" failures="1" errors="2" skipped="3"/></testsuites>'
    assert tool("run_matrix").counted(suite) == {"passed": 4, "failed": 3, "skipped": 3}


def test_folders_of_the_tests_are_there(tool):
    """What is chosen exists."""
    assert all((ROOT / "tests" / name).is_dir() for names in tool("run_matrix").CHOSEN.values() for name in names)


def test_the_page_holds_the_table_of_the_file(tool):
    """`docs/versions.md` has the table of `benchmark/versions.csv`, in which nothing failed."""
    matrix, page = tool("run_matrix"), (ROOT / "docs" / "versions.md").read_text()
    rows = read_records(ROOT / "benchmark" / "versions.csv")
    assert {row["failed"] for row in rows} == {"0"}
    assert page == put_between(page, matrix.BEGIN, matrix.END, matrix.report(rows))
