"""What `tools/measure_spectrum.py` measures of a preset, its tables, and the page that it writes."""

from pathlib import Path

import pytest

from keras_ood.datasets import CORRUPTIONS
from keras_ood.evaluation.spectrum import UNIT
from keras_ood.hub import handles
from keras_ood.tables.records import read_records

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.once


def test_a_preset_and_its_untrained_network(tool):
    """Both are measured on the same images; what is known of them stands in every row; unit tests are no OOD sets."""
    measured = tool("measure_spectrum")
    rows = {
        weights: measured.measure("tilted-vae-digits", weights, ["rotated", "noise"]) for weights in ("trained", "untrained")
    }
    trained, untrained = rows.values()
    assert [(row["kind"], row["name"], row["images"]) for row in trained] == [
        (row["kind"], row["name"], row["images"]) for row in untrained
    ]
    assert [row["name"] for row in trained if row["kind"] == "ood"] == ["rotated"]
    assert {(row["preset"], row["looks_at"], row["score"]) for row in trained} == {
        ("tilted-vae-digits", "pixels", "density_of_states")
    }
    powers = [next(row for row in found if row["name"] == "rotated")["flagged_at_5"] for found in (trained, untrained)]
    assert powers[0] > 2 * powers[1]


def test_what_needs_no_download(tool, monkeypatch):
    """Synthetic sets, digits, textures, and files of `KERAS_OOD_DATA`."""
    at_hand = tool("measure_spectrum").at_hand
    monkeypatch.delenv("KERAS_OOD_DATA", raising=False)
    assert [at_hand(name) for name in ("blobs", "noise", "digits", "grain", "svhn")] == [True] * 4 + [False]


def test_tables_by_hand(tool):
    """Counts become percentages, the untrained network's in brackets; a star where 5 % is outside the exact interval."""
    made = tool("spectrum_tables").report(
        [
            *_records("trained", flagged=(1, 4), unit=95),
            *_records("untrained", flagged=(2, 6), unit=50),
        ]
    )
    for line in (
        "| `vae` | 100 | 1.0 [0.0, 5.4] | 4.0 [1.1, 9.9] | 6.0 [2.2, 12.6] | 0 | 1 |",
        "| `vae` | 4 / 1 (6 / 2) |",
        "| `vae` | 0.900 → 0.800 (0.900 → 0.800) |",
        "| cifar10: preset | bird | frog |",
        "| `vae` | 4.0 | 20.0* |",
        "| all 2 | 0.700 (0.700) / 5 |",
        "| without the 1 near ones | 0.800 (0.800) / 10 |",
        "| bus (near: truck) | 0.600 / 0 |",
    ):
        assert f"\n{line}\n" in f"\n{made}\n", made
    assert made.index("| bus (near") < made.index("| rose |")


def test_no_table_without_classes(tool):
    """Data sets whose classes are not told, and presets that met no CIFAR-100."""
    records = [
        row for weights in ("trained", "untrained") for row in _records(weights, (1, 5), 100) if "class" not in row["kind"]
    ]
    assert "Not measured." in tool("spectrum_tables").report(records)


def _records(weights, flagged, unit):
    known = {"preset": "vae", "weights": weights, "in_distribution": "cifar10", "looks_at": "pixels"}
    missing = dict.fromkeys(("auroc", "auroc_full", "fpr95", "fpr95_full"), "")
    metrics = {"auroc": "0.9", "auroc_full": "0.8", "fpr95": "0.5", "fpr95_full": "0.6"}
    at_1, at_5 = map(str, flagged)
    rows = [
        ("test", "cifar10", "100", at_1, at_5, missing),
        ("class", "bird", "100", at_1, at_5, missing),
        ("class", "frog", "100", "10", "20", missing),
        *(("mild", name, "100", at_1, at_5, metrics | {"auroc_full": "", "fpr95_full": ""}) for name in CORRUPTIONS),
        ("ood", "gtsrb", "100", at_1, at_5, metrics),
        ("ood class", "rose", "100", "0", "10", metrics | {"auroc": "0.8"}),
        ("ood class", "bus", "100", "0", "0", metrics | {"auroc": "0.6"}),
        *(("unit", name, "100", "0", "100", metrics) for name in UNIT[1:]),
        ("unit", UNIT[0], "100", "0", str(unit), metrics),
    ]
    columns = ("kind", "name", "images", "flagged_at_1", "flagged_at_5")
    return [known | dict(zip(columns, row[:5], strict=True)) | row[5] for row in rows]


def test_every_preset_was_measured():
    """`benchmark/spectrum.csv` has every preset, trained and untrained."""
    assert {(row["preset"], row["weights"]) for row in read_records(ROOT / "benchmark" / "spectrum.csv")} == {
        (name, weights) for name in handles.list_models() for weights in ("trained", "untrained")
    }
