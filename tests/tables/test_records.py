"""Rows of measurements, written and read."""

from dataclasses import asdict, dataclass

import pytest

from keras_ood.tables.records import read_records, read_rows, write_records

pytestmark = pytest.mark.once


@dataclass(frozen=True)
class Row:
    """Every kind of field."""

    name: str
    images: int
    strength: int | None
    value: float
    low: float | None


ROWS = [Row("PGD, adaptive", 300, 8, 0.1, 0.05), Row("", 2, None, 1e-9, None)]


def test_rows_come_back_as_what_they_were(tmp_path):
    """Text, integers, floats and what was not measured; columns that are no field are left out."""
    write_records(tmp_path / "rows.csv", [asdict(row) | {"further": 1} for row in ROWS])
    assert read_rows(tmp_path / "rows.csv", Row) == ROWS
    assert [record["further"] for record in read_records(tmp_path / "rows.csv")] == ["1", "1"]


def test_a_gap_is_an_error(tmp_path):
    """A column that is not there, and an empty cell where there must be a number."""
    write_records(tmp_path / "rows.csv", [asdict(ROWS[0]) | {"value": ""}])
    with pytest.raises(ValueError, match="could not convert"):
        read_rows(tmp_path / "rows.csv", Row)
    write_records(tmp_path / "rows.csv", [{"name": "x"}])
    with pytest.raises(KeyError, match="images"):
        read_rows(tmp_path / "rows.csv", Row)
