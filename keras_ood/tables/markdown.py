"""Tables in Markdown."""

from collections.abc import Iterable, Sequence
from statistics import mean, stdev


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, without a line break at its end.

    Args:
        header: Names of the columns.
        rows: Cells of each line, as many as there are columns.

    Examples:
        >>> print(markdown_table(["OOD set", "AUROC"], [["noise", "0.9983"]]))
        | OOD set | AUROC |
        |---|---|
        | noise | 0.9983 |
    """
    head, *lines = ["| " + " | ".join(cells) + " |" for cells in (header, *rows)]
    return "\n".join([head, "|" + "---|" * len(header), *lines])


def mean_cell(values: Sequence[float], beside: Sequence[float] = ()) -> str:
    """Return a cell: mean and standard deviation, then the mean of the numbers beside them in brackets; `-` for no values.

    Examples:
        >>> mean_cell([0.25, 0.75], beside=[0.5])
        '0.5000 ± 0.3536 (0.5000)'
        >>> mean_cell([0.25])
        '0.2500'
    """
    if not values:
        return "-"
    spread = f" ± {stdev(values):.4f}" if len(values) > 1 else ""
    return f"{mean(values):.4f}{spread}" + (f" ({mean(beside):.4f})" if beside else "")


def put_between(page: str, begin: str, end: str, text: str) -> str:
    """Return a page with a text in the place of what stands between two marks, which stay.

    Raises:
        ValueError: A page without the marks.

    Examples:
        >>> put_between("before <a>old<b> after", "<a>", "<b>", "new")
        'before <a>new<b> after'
    """
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"A page for the report holds {begin} and {end}. Received: neither, or one of them")
    return f"{before}{begin}{text}{end}{after}"
