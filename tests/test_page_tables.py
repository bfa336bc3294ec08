"""The tables of README and docs that `make cards` writes."""

from pathlib import Path

import pytest

from keras_ood.datasets import DEFECTS
from keras_ood.tables.records import write_records

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.once


@pytest.mark.parametrize("page", ["README.md", "docs/zoo.md", "docs/speed.md"])
def test_a_page_holds_the_table_of_today(page, tool):
    """The committed table is what the zoo and the benchmarks render to."""
    assert (ROOT / page).read_text() == tool("render_cards").rendered(page)


def test_what_to_take_by_hand(tmp_path, tool):
    """Means, extremes and shares of files small enough to reckon with."""
    few = {"nominal_fpr": 0.1, "ood": "mnist"}
    write_records(
        tmp_path / "few-images.csv",
        [
            few | {"in_distribution": "cifar10", "images": 100, "auroc": 0.8, "fpr_of_the_split": 0.5},
            few | {"in_distribution": "cifar10", "images": 100, "auroc": 0.9, "fpr_of_the_split": 0.5},
            few | {"in_distribution": "gtsrb", "images": 100, "auroc": 0.7, "fpr_of_the_split": 0.5},
            few | {"in_distribution": "gtsrb", "images": 30, "auroc": 0.1, "fpr_of_the_split": 0.25},
        ],
    )
    found = dict.fromkeys(DEFECTS, 0.9)
    maps = [("flow with attention", 0.9, 0.5), ("flow, untrained", 0.8, 0.6), ("PatchCore", 0.7, 0.4)]
    write_records(
        tmp_path / "localisation.csv",
        [
            {"in_distribution": name, "method": method, "map": "standardised", "pixel_auroc": auroc, **found, "stain": stain}
            for name in ("weave", "brick")
            for method, auroc, stain in maps
        ],
    )
    stream = {"preset": "inflow-cifar10", "method": "martingale", "every": 1, "alpha": 0.05}
    write_records(
        tmp_path / "monitoring.csv",
        [
            stream | dict(zip(("stream", "false_alarms", "other", "share", "noticed", "median_delay"), cells, strict=True))
            for cells in (
                ("exchangeable", 0.02, "", "", "", ""),
                ("exchangeable", 0.03, "", "", "", ""),
                ("change", 0.01, "gtsrb", 1.0, 1.0, 7.0),
                ("change", 0.01, "cifar100", 0.2, 0.5, ""),
            )
        ],
    )
    pairs = (("cifar10", "gtsrb"), ("mnist", "cifar100"))
    aurocs = {"keras_ood TiltedVAE": (0.9, 0.5), "PyOD KNN": (0.7, 0.6), "PyOD LOF": (0.5, 0.5), "pytorch-ood ViM": (0.8, 0.8)}
    write_records(
        tmp_path / "peers.csv",
        [
            {"detector": name, "in_distribution": inside, "out_of_distribution": outside, "auroc": auroc}
            for name, values in aurocs.items()
            for (inside, outside), auroc in zip(pairs, values, strict=True)
        ],
    )
    names = ("preset", "format", "precision", "bytes", "relative_rate", "auroc")
    write_records(
        tmp_path / "exports.csv",
        [
            dict(zip(names, cells, strict=True))
            for cells in (
                ("a", "onnx", "float32", 100, 1.0, 0.9),
                ("a", "onnx", "float16", 50, 0.5, 0.9),
                ("a", "onnx", "int8", 25, 2.0, 0.88),
                ("a", "openvino", "int8", "", "", ""),
            )
        ],
    )
    table = tool("page_tables").choices(tmp_path)
    for cells in (
        "of 100 images of CIFAR-10 AUROC 0.8500 (against MNIST), of 100 images of GTSRB AUROC 0.7000 (against MNIST): "
        "the encoder alone, nothing is trained "
        "| of 30 images, 10 % false alarms asked for: up to 25 %",
        "pixel AUROC 0.900 (0.800), PatchCore 0.700: 2 sets | stain: image AUROC 0.500 (0.600)",
        "false alarms in at most 3 % of streams, 5 % promised; CIFAR-10 turns into gtsrb: noticed after 7 images "
        "| 20 % cifar100 among CIFAR-10: noticed in 50 % of streams",
        "AUROC 0.7000, the best other without labels 0.6500 (PyOD KNN) "
        "| with labels 0.8000 (pytorch-ood ViM); MNIST / CIFAR-100: 0.500 against 0.800",
        "int8: 0.25 to 0.25 of float32's size, AUROC at most 0.020 away | float16 on a CPU: 0.50 to 0.50 of float32's rate",
    ):
        assert f"| {cells} |\n" in f"{table}\n", table
