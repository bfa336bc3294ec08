"""The pieces of `tools/compare_localisation.py` that can go wrong without a sound, and the page that it writes."""

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.once


@pytest.fixture
def features():
    """Local features of 40 images, their positions of different means and spreads."""
    generator = np.random.default_rng(0)
    spread = generator.uniform(0.5, 2, (3, 4, 6))
    return (generator.normal(0, 1, (40, 3, 4, 6)) * spread + spread).astype(np.float32)


def test_a_coreset_covers(tool):
    """No point is farther from a greedy coreset than its last centre was when chosen; a centre for each of far clusters."""
    generator = np.random.default_rng(0)
    clusters = generator.normal(0, 1, (20, 5)) * 100
    points = np.repeat(clusters, 30, axis=0) + generator.normal(0, 1, (600, 5))
    chosen = tool("localisation_peers").coreset(points, 20)
    assert sorted(chosen // 30) == list(range(20))
    distances = np.linalg.norm(points[:, None] - points[chosen], axis=-1)
    apart = np.linalg.norm(points[chosen[-1]] - points[chosen[:-1]], axis=-1).min()
    assert distances.min(axis=1).max() <= apart


def test_patchcore_is_the_nearest_centre_and_its_weight(tool, features):
    """Distances as a loop computes them; the image score as the paper's formula gives it for the oddest position."""
    made = tool("localisation_peers").PatchCore(features, share=0.2, nearest=3)
    assert made.centres.shape == (96, 6)
    odd = features[:5] + np.float32(1)
    maps = made.maps(odd)
    distances = np.linalg.norm(odd[..., None, :] - made.centres, axis=-1)  # (images, h, w, centres)
    np.testing.assert_allclose(maps, distances.min(axis=-1), rtol=1e-4)
    scores = made.images(odd, maps, maps)
    for place in range(len(odd)):
        position = np.unravel_index(maps[place].argmax(), maps[place].shape)
        nearest = made.centres[distances[place][position].argmin()]
        around = np.argsort(np.linalg.norm(made.centres - nearest, axis=-1))[:3]
        largest = maps[place].max()
        weight = 1 - np.exp(largest) / np.exp(distances[place][position][around]).sum()
        assert scores[place] == pytest.approx(weight * largest, rel=1e-3)


def test_padim_is_the_distance_at_each_position(tool, features):
    """As NumPy computes it position by position, from the channels that were drawn."""
    made = tool("localisation_peers").PaDiM(features, channels=4)
    maps = made.maps(features[:3])
    assert len(made.chosen) == 4
    for place in np.ndindex(3, 4):
        some = features[:, place[0], place[1]][:, made.chosen].astype(np.float64)
        inverse = np.linalg.inv(np.cov(some.T) + 0.01 * np.eye(4))
        offset = some[:3] - some.mean(axis=0)
        expected = np.sqrt(np.einsum("ni,ij,nj->n", offset, inverse, offset))
        np.testing.assert_allclose(maps[:, place[0], place[1]], expected, rtol=1e-3)


def test_one_normal_distribution_sees_what_is_off(tool, features):
    """Positions far from all others are farther, and distances are those of whitened features."""
    made = tool("localisation_peers").OneNormal(features)
    assert made.maps(features + np.float32(9)).min() > made.maps(features).max()
    assert np.mean(made.maps(features) ** 2) == pytest.approx(6, rel=0.1)


def test_defects_are_of_different_images(tool):
    """Each damaged image differs from exactly one clean one, under its mask, and none from the same."""
    images = np.random.default_rng(0).integers(0, 256, (24, 48, 48, 3), dtype=np.uint8)
    damaged, kinds, masks = tool("compare_localisation").damaged(images, 2)
    assert len(damaged) == len(kinds) == len(masks) == 12
    same = (damaged[:, None] == images).all(axis=-1).mean(axis=(2, 3))  # the share of pixels left as they are
    assert len(set(same.argmax(axis=1))) == 12
    assert masks.any(axis=(1, 2)).all()


def test_the_report_has_means_and_each_set(tool):
    """A line for a method and map: its means over the sets, then a metric by set."""
    made = tool("compare_localisation").report([_row("grain"), _row("weave", pro=0.7)])
    assert "| PatchCore | raw | 0.900 | 0.900 | 0.800 | 5.0 % | 2.0 | 1.00 | 1.00 | 304,000 |" in made
    assert "| PatchCore | raw | 0.900 | 0.700 |" in made


def _row(name, **values):
    compared = ("image_auroc", "pixel_auroc", "pro", "scratch", "stain", "hole", "foreign_object", "misprint", "local_blur")
    row = {"in_distribution": name, "method": "PatchCore", "map": "raw", **dict.fromkeys(compared, 0.9)}
    row |= {"flagged": 0.05, "ms": 2.0, "ms_of_patchcore": 1.0, "ms_with_encoder_of_patchcore": 1.0, "numbers": 304_000}
    return row | {"held_out_nll": "", "machine": "a machine"} | values
