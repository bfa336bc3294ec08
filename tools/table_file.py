"""What tools have in common that keep a table in `benchmark/` and put it into a page of the documentation."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_ood.tables.markdown import put_between
from keras_ood.tables.records import read_records

Marks = tuple[str, str]


def marks(tool: str) -> Marks:
    """Return the marks in a page between which a tool, given by its file, puts its tables."""
    return f"<!-- tools/{Path(tool).name} --report -->", "<!-- end of the report -->"


def begun(
    parser: argparse.ArgumentParser, name: str, between: Marks, report: Callable[[list[dict[str, Any]]], str]
) -> tuple[argparse.Namespace, Path, list[dict[str, Any]]]:
    """Return what a command line says, the path of the tool's table, and the rows that it has so far.

    With `--report PAGE` the tables of these rows are put into the page, and nothing else is done: the process ends.

    Args:
        parser: Of the tool; `--out` and `--report` are added to it.
        name: Of the table's file.
        between: See `marks`.
        report: Function from rows to Markdown.
    """
    parser.add_argument("--out", type=Path, default=Path("benchmark"))
    parser.add_argument("--report", type=Path, metavar="PAGE", help="write the tables into this page; nothing is measured")
    arguments = parser.parse_args()
    table = arguments.out / name
    rows: list[dict[str, Any]] = [dict(row) for row in read_records(table)] if table.exists() else []
    if arguments.report:
        arguments.report.write_text(put_between(arguments.report.read_text(), *between, report(rows)))
        parser.exit()
    return arguments, table, rows
