"""Where a detector finds test images odd that have a defect of known place, and how often it finds clean ones odd."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from keras_ood import datasets, plots
from keras_ood.calibration import NOMINAL_FPR
from keras_ood.datasets.masked import GOOD
from keras_ood.evaluation.evaluate_masks import MaskRow, mask_rows
from keras_ood.evaluation.pictures import save_figures
from keras_ood.hub.content import Content
from keras_ood.hub.template import fill
from keras_ood.tables.markdown import markdown_table

PICTURE = "heat-maps.png"
EACH = 40  # test images with each defect
SEED = 100

_MEASURES = "image_auroc", "pixel_auroc", "pro", "flagged"
_TEMPLATE = Path(__file__).with_name("localisation.md.jinja")


def check(detector: Any, inside: str) -> None:
    """Refuse images that are too small for defects, or too few; see `keras_ood.evaluation.studies`."""
    images = datasets.load(inside, "test")[0]
    if min(images.shape[1:3]) < 32 or images.shape[1:3] != detector.image_shape[:2]:
        raise ValueError(
            "Defects are drawn into images of the detector's own size, at least 32 pixels a side. "
            f"Received: {images.shape[1:3]} of {inside}, {detector.image_shape[:2]} of the detector"
        )


def study(detector: Any, inside: str, folder: Path, runs: Path) -> dict[str, Any]:
    """Damage test images in every way, and measure and draw heat maps; see `keras_ood.evaluation.studies`."""
    clean = datasets.load(inside, "test")[0]
    images, masks, kinds = [clean], [np.zeros(clean.shape[:3], bool)], [GOOD] * len(clean)
    for number, name in enumerate(datasets.DEFECTS):
        damaged, mask = datasets.damage(name, clean[number * EACH :][:EACH], SEED + number)
        images, masks, kinds = [*images, damaged], [*masks, mask], kinds + [name] * len(damaged)
    shown, known = (np.concatenate([part[:1] for part in parts]) for parts in (images, masks))
    figure = plots.overlays(shown, detector.heat_map(shown, progress=False), masks=known)
    save_figures({PICTURE: figure}, folder)
    rows = mask_rows(detector, np.concatenate(images), np.concatenate(masks), kinds, progress=False)
    return {
        "fpr": NOMINAL_FPR,
        "calibration_images": len(detector.calibrated.maps),
        "rows": [
            {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(row).items()} for row in rows
        ],
    }


def section(folder: Path, content: Content) -> str | None:
    """Return what a preset's card says of the study; see `keras_ood.evaluation.studies`."""
    if "localisation" not in content:
        return None
    measured = dict(content["localisation"])
    rows = [MaskRow(**row) for row in measured["rows"]]
    table = markdown_table(
        ["defect", "images", "image AUROC", "pixel AUROC", "PRO", f"flagged at {measured['fpr']:.0%}"],
        [[row.defect, str(row.images), *(f"{getattr(row, name):.4f}" for name in _MEASURES)] for row in rows],
    )
    everything = rows[-1]
    known = {"clean_images": everything.clean_images, "clean_flagged": everything.clean_flagged, "fpr": measured["fpr"]}
    return fill(_TEMPLATE, {"picture": PICTURE, "calibration_images": measured["calibration_images"], "table": table, **known})
