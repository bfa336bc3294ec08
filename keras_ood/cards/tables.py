"""Tables of AUROC that cards share, Markdown."""

from collections.abc import Sequence

from keras_ood.evaluation.result import Result
from keras_ood.tables.markdown import markdown_table, mean_cell

Results = Sequence[Result]


def by_score(results: Results, seed: int) -> str:
    """Return all scores and metrics of the weights that the preset holds."""
    rows = [
        [
            row.out_of_distribution,
            f"`{row.method}`",
            f"{row.auroc:.4f} [{row.auroc_low:.4f}, {row.auroc_high:.4f}]",
            *(f"{metric:.4f}" for metric in (row.aupr_in, row.aupr_out, row.fpr95)),
        ]
        for row in shipped(results, seed)
    ]
    return markdown_table(["OOD set", "score", "AUROC", "AUPR-in", "AUPR-out", "FPR95"], rows)


def shipped(results: Results, seed: int) -> list[Result]:
    """Return the rows of the weights that the preset holds."""
    return [row for row in results if row.weights == "trained" and row.seed == seed]


def auroc(results: Results, weights: str, out: str, score: str) -> list[float]:
    """Return the AUROC of one score on one set, a number for each seed."""
    return [row.auroc for row in results if (row.weights, row.out_of_distribution, row.method) == (weights, out, score)]


def cell(results: Results, weights: str, out: str, score: str) -> str:
    """Return the mean AUROC over the seeds and its standard deviation."""
    return mean_cell(auroc(results, weights, out, score))
