"""Tables of AUROC that cards share, Markdown."""

from statistics import mean, stdev

Records = list[dict[str, str]]


def by_score(records: Records, seed: int) -> str:
    """Return all scores and metrics of the weights that the preset holds."""
    lines = ["| OOD set | score | AUROC | AUPR-in | AUPR-out | FPR95 |", "|---|---|---|---|---|---|"]
    for record in shipped(records, seed):
        interval = f"[{float(record['auroc_low']):.4f}, {float(record['auroc_high']):.4f}]"
        cells = [f"{float(record['auroc']):.4f} {interval}"]
        cells += [f"{float(record[metric]):.4f}" for metric in ("aupr_in", "aupr_out", "fpr95")]
        lines.append(f"| {record['out_of_distribution']} | `{record['method']}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def shipped(records: Records, seed: int) -> Records:
    """Return the rows of the weights that the preset holds."""
    return [record for record in records if record["weights"] == "trained" and int(record["seed"]) == seed]


def cell(records: Records, weights: str, out: str, score: str, untrained: bool = False) -> str:
    """Return the mean AUROC over the seeds and its standard deviation; with `untrained`, that of the untrained network too."""
    found = [
        float(record["auroc"])
        for record in records
        if (record["weights"], record["out_of_distribution"], record["method"]) == (weights, out, score)
    ]
    if not found:
        return "-"
    spread = f" ± {stdev(found):.4f}" if len(found) > 1 else ""
    beside = f" ({cell(records, 'untrained', out, score).split(' ')[0]})" if untrained else ""
    return f"{mean(found):.4f}{spread}{beside}"
