"""The tables of `tools/scale_tables.py`."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.once


def test_tables_by_hand(tool):
    """Rates are images by seconds, hours and dollars those of 10^9 images."""
    tables = tool("scale_tables")
    seconds = {"decode": "0.1", "score": "1", "one process": "4", "two nodes": "2", "start": "7"}
    pixels, encoder = tables.PIXELS, tables.OVER_ENCODER
    sizes = {("picture", pixels): "20000", ("picture", encoder): "20000", ("photo", encoder): "2000000"}
    names = ("files", "preset", "bytes", "stage", "seconds", "images", "machine")
    cells = ((*case, size, *stage, "100", "M") for case, size in sizes.items() for stage in seconds.items())
    made = tables.report([dict(zip(names, each, strict=True)) for each in cells])
    for line in (
        f"| picture, 20 kB | `{pixels}` | 1,000/s | 100/s | 25.0/s | 50.0/s | 2.00 | 7 s |",
        "| storage read | measured size of the files | 20 TB | 2,000 TB |",
        "| decode and shrink | measured, a core | 278 core hours | 278 core hours |",
        "| cost, encoder on cores | assumed: $0.04 a core hour | $122 | $122 |",
    ):
        assert f"\n{line}\n" in made, made
