"""The few numbers of a list: of the weights that ship, over the sets of the recipe."""

import pytest

from keras_ood.hub.summary import Summary
from keras_ood.tables.records import write_records

pytestmark = pytest.mark.once


@pytest.mark.parametrize("encoder", [True, False])
def test_means_of_what_ships(encoder, tmp_path):
    """Other seeds, sets and scores do not count; what was not measured is None; the encoder alone is no score of pixels."""
    rows = [
        ("trained", 1, "near", "mahalanobis", 0.7),
        ("trained", 1, "far", "mahalanobis", 0.8),
        ("untrained", 1, "near", "fusion", 0.4),
        ("untrained", 1, "far", "fusion", 0.8),
        ("untrained", 1, "elsewhere", "fusion", 0.1),
        ("untrained", 2, "near", "fusion", 0.1),
        ("untrained", 1, "near", "nll", 0.1),
    ]
    columns = ("weights", "seed", "out_of_distribution", "method", "auroc")
    content = {"auroc": {"near": 0.6, "far": 1.0}, "default_score": "fusion", "training": {"seed": 1}}
    content |= {"encoder": {}} if encoder else {}
    write_records(tmp_path / "results.csv", [dict(zip(columns, row, strict=True)) for row in rows])
    alone = pytest.approx(0.75) if encoder else None
    assert Summary.of(tmp_path, content) == Summary(0.8, pytest.approx(0.6), alone, "near", 0.6)
    assert Summary.of(tmp_path, content | {"default_score": "knn"}).untrained is None
