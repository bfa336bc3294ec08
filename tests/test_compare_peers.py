"""What `tools/compare_peers.py` makes of rows, and what a detector is run with."""

from pathlib import Path

import numpy as np
import pytest

from keras_ood.tables.records import read_records

pytestmark = pytest.mark.once


def test_pairs_are_means_of_directions_and_detectors_are_ranked(tool):
    """The best mean comes first; a pair counts where ours is at least as good on the mean of its directions and seeds."""
    peers = tool("compare_peers")
    aurocs = {peers.OURS: (0.9, 0.7, 0.6), "PyOD KNN": (0.8, 0.7, 0.8)}
    pairs = (("cifar10", "gtsrb"), ("gtsrb", "cifar10"), ("mnist", "cifar100"))
    rows = [
        {"detector": name, "in_distribution": inside, "out_of_distribution": outside, "seed": seed, "auroc": auroc + shift}
        | {"fpr95": 0.5, "fit_seconds": 1, "images_per_second": 1000, "peak_mib": 10, "version": "1", "machine": "a machine"}
        for name, values in aurocs.items()
        for seed, shift in ((0, 0.0), (1, 0.1))
        for (inside, outside), auroc in zip(pairs, values, strict=True)
    ]
    assert peers.by_pair(rows, peers.OURS) == {
        ("cifar10", "gtsrb"): pytest.approx(0.85),
        ("mnist", "cifar100"): pytest.approx(0.65),
    }
    assert peers.ranked(rows) == ["PyOD KNN", peers.OURS]
    with pytest.raises(ValueError, match=r"Received: others of \[\('PyOD KNN', 1\)\]"):
        peers.report(rows[:-1])
    made = peers.report(rows)
    assert "| PyOD KNN | no | 0.8250 ± 0.0707 | 0.500 | 1 of 2 | 1.0 | 1,000 | 10 |" in made
    assert f"| {peers.OURS} | no | 0.7500 ± 0.0707 | 0.500 | - | 1.0 | 1,000 | 10 |" in made


def test_every_detector_was_measured(tool):
    """The table has each detector that is compared, and no other."""
    rows = read_records(Path(__file__).parents[1] / "benchmark" / "peers.csv")
    assert {row["detector"] for row in rows} == set(tool("peer_detectors").PEERS)


def test_every_library_has_an_environment(tool):
    """What a detector needs can be installed, and is imported before the clock starts."""
    peers, detectors = tool("compare_peers"), tool("peer_detectors")
    libraries = {peer.library for peer in detectors.PEERS.values()}
    assert libraries == set(detectors.IMPORTED)
    assert libraries <= {*peers.ENVIRONMENTS, "keras-ood"}


def test_a_detector_gets_training_images_and_scores_each_set(tool):
    """It is fitted to the training images of the task alone, and every set has a score an image."""
    detectors = tool("peer_detectors")
    given = []

    def fit(train, labels, seed):
        given.append((train, labels, seed))
        return lambda features: np.linalg.norm(features - train.mean(axis=0), axis=1)

    task = {"seed": np.array(3), "train": np.zeros((5, 2)), "labels": np.arange(5)}
    task |= {"test:": np.zeros((4, 2)), "test:gtsrb": np.ones((3, 2))}
    scores, costs = detectors.run(detectors.Peer("keras-ood", fit), task)
    assert {name: len(values) for name, values in scores.items()} == {"": 4, "gtsrb": 3}
    assert scores["gtsrb"].min() > scores[""].max()
    assert [seed for _, _, seed in given] == [3]
    assert set(costs) == {"version", "fit_seconds", "images_per_second", "peak_mib"}
