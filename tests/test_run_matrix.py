"""What `tools/run_matrix.py` counts, and the page that it writes."""

from pathlib import Path

import pytest

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


def test_nothing_failed():
    """What `benchmark/versions.csv` says was run passed."""
    assert {row["failed"] for row in read_records(ROOT / "benchmark" / "versions.csv")} == {"0"}
