"""How well anomaly maps find defects whose masks are known: by image, by pixel, by region."""

import numpy as np
from scipy import ndimage
from sklearn.metrics import auc, roc_auc_score

from keras_ood.terminal.numbers import is_between

_TOUCHING = np.stack([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))])  # 8 neighbours in an image, none in the next one


def localisation(maps: np.ndarray, masks: np.ndarray, limit: float = 0.3) -> dict[str, float]:
    """Return how well maps agree with masks, each metric in 0..1, 1 the best.

    - `image_auroc`: AUROC of the images with a defect against those without, each scored by the largest value of its map.
      Left out where every image has a defect.
    - `pixel_auroc`: AUROC of the pixels inside the masks against those outside, over all images.
    - `pro`: the per-region overlap of Bergmann et al., "The MVTec Anomaly Detection Dataset" (IJCV 2021). A region is a set of
      defect pixels that touch, corners included. With `overlap(t)` the mean over all regions of the share of a region's pixels
      that score `t` or more, and `fpr(t)` the share of all pixels outside the masks that do,
      `pro = (integral of overlap over fpr from 0 to limit) / limit`, straight lines between the thresholds. Regions count
      alike, small or large. Chance gives `limit / 2`.

    All different scores are thresholds; pixels with the same score pass one together.

    Args:
        maps: Floating-point `(N, height, width)`, higher = more anomalous; values compare across images.
        masks: bool `(N, height, width)`, True where a defect is; an image without any is clean.
        limit: The largest false positive rate that counts, above 0 and at most 1.

    Raises:
        ValueError: Other shapes or types, maps that are not finite, masks that hold no defect or nothing else, another limit.

    Examples:
        >>> masks = np.array([[[False, True]], [[False, False]]])
        >>> localisation(np.array([[[0.0, 2.0]], [[1.0, 0.0]]]), masks)
        {'image_auroc': 1.0, 'pixel_auroc': 1.0, 'pro': 1.0}
    """
    maps, masks = np.asarray(maps), np.asarray(masks)
    _check(maps, masks, limit)
    order = np.argsort(maps, axis=None)[::-1]
    ranked = maps.ravel()[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), ranked.size - 1)  # of those that tie

    def rise(weights: np.ndarray) -> np.ndarray:
        """The share of the weights that each threshold finds, from none to all."""
        found = np.cumsum(weights.ravel()[order])[last]
        return np.append(0, found / found[-1])

    labels, _ = ndimage.label(masks, _TOUCHING)
    fpr, overlap = rise(~masks), rise(masks / np.bincount(labels.ravel())[labels])
    found: dict[str, float] = {}
    has_defect = masks.any(axis=(1, 2))
    if not has_defect.all():
        found["image_auroc"] = float(roc_auc_score(has_defect, maps.max(axis=(1, 2))))
    found["pixel_auroc"] = float(auc(fpr, rise(masks)))
    inside = fpr <= limit
    rates = np.append(fpr[inside], limit)
    overlaps = np.append(overlap[inside], np.interp(limit, fpr, overlap))
    return found | {"pro": float(auc(rates, overlaps) / limit)}


def _check(maps: np.ndarray, masks: np.ndarray, limit: float) -> None:
    if maps.ndim != 3 or maps.shape != masks.shape or not np.issubdtype(maps.dtype, np.floating) or masks.dtype != bool:
        raise ValueError(
            "Expected floating-point maps and bool masks of one shape (N, height, width). "
            f"Received: {maps.dtype} of shape {maps.shape} and {masks.dtype} of shape {masks.shape}"
        )
    if not np.all(np.isfinite(maps)):
        raise ValueError(f"Maps must be finite. Received: {np.sum(~np.isfinite(maps))} values that are not")
    if masks.all() or not masks.any():
        raise ValueError(
            f"Masks must hold pixels of defects and others. Received: {masks.sum()} pixels of defects among {masks.size}"
        )
    if not (is_between(limit, 0, 1) or limit == 1):
        raise ValueError(f"`limit` must be above 0 and at most 1. Received: {limit!r}")
