"""Where a detector finds test images odd that have a defect of known place, and how often it finds clean ones odd."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_ood import datasets, plots
from keras_ood.calibration import NOMINAL_FPR
from keras_ood.evaluation.pictures import save_figures

PICTURE = "heat-maps.png"
EACH = 40  # images with each defect
SEED = 100

_TEMPLATE = Path(__file__).with_name("localisation.md.jinja")


@dataclass(frozen=True)
class Located:
    """Test images with one kind of defect, beside clean ones.

    Attributes:
        defect: One of `keras_ood.datasets.DEFECTS`; `"all"`.
        image_auroc: Of the detector's default score.
        pixel_auroc: Of the standardised map.
        pro: Per-region overlap of the same up to a false positive rate of 0.3.
        found: Share of the images with a pixel at `p <= 0.05`.
    """

    defect: str
    image_auroc: float
    pixel_auroc: float
    pro: float
    found: float


def check(detector: Any, inside: str) -> None:
    """Refuse images too small for defects; see `keras_ood.evaluation.studies`."""
    if min(detector.image_shape[:2]) < 32:
        raise ValueError(f"Defects take images of at least 32 pixels a side. Received: {detector.image_shape}")


def study(detector: Any, inside: str, folder: Path, runs: Path) -> dict[str, Any]:
    """Damage test images in every way and measure the heat maps; see `keras_ood.evaluation.studies`."""
    clean = datasets.load(inside, "test")[0]
    damaged = {
        name: datasets.damage(name, clean[number * EACH : (number + 1) * EACH], SEED + number)
        for number, name in enumerate(datasets.DEFECTS)
    }
    measured = {"clean": _measured(detector, clean)} | {name: _measured(detector, made) for name, (made, _) in damaged.items()}
    blank = np.zeros((len(clean), *detector.image_shape[:2]), bool)
    masks = {name: mask for name, (_, mask) in damaged.items()}
    rows = [
        _located(name, measured, {each: masks[each] for each in ([name] if name in masks else masks)}, blank)
        for name in (*masks, "all")
    ]
    shown = np.concatenate([made[:1] for made, _ in damaged.values()])
    save_figures(
        {PICTURE: plots.overlays(shown, detector.heat_map(shown), masks=np.stack([m[0] for m in masks.values()]))}, folder
    )
    return {
        "clean_images": len(clean),
        "false_alarms": round(float(np.mean(measured["clean"][2])), 4),
        "level": NOMINAL_FPR,
        "calibration_images": len(detector.calibrated.maps),
        "rows": [asdict(row) for row in rows],
    }
