"""What bfloat16 does to the zoo, as `tools/compare_precision.py` measured it, and its page."""

from pathlib import Path

import pytest

import keras_ood
from keras_ood.loading import AUTO_TOLERANCE
from keras_ood.tables.records import read_records

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.once


@pytest.fixture
def rows():
    """The kept table."""
    return [dict(row) for row in read_records(ROOT / "benchmark" / "precision.csv")]


def test_what_auto_lets_compute_in_bfloat16_keeps_its_auroc(rows):
    """Every preset was measured; where golden scores hold to the tolerance, the AUROC that moves most does by 0.001 at most."""
    assert [row["preset"] for row in rows] == keras_ood.list_models()
    held = [row for row in rows if float(row["golden"]) <= AUTO_TOLERANCE and row["change"]]
    assert held
    assert max(abs(float(row["change"])) for row in held) <= 0.001
