"""Pictures: every set and image is drawn."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from keras_ood import plots
from keras_ood.plots import charts

pytestmark = pytest.mark.once

GENERATOR = np.random.default_rng(0)
OUTSIDE = {f"set {index}": GENERATOR.normal(index, 1, 50) for index in range(12)}


def test_every_set_has_a_panel_and_a_curve():
    """Twelve sets, more than there are colours: none is left out."""
    inside = GENERATOR.normal(0, 1, 60)
    histograms = plots.score_histograms(inside, OUTSIDE, threshold=1.0)
    assert [axes.get_ylabel() for axes in histograms.axes] == list(OUTSIDE)
    (axes,) = plots.roc_curves(inside, OUTSIDE).axes
    labels = [line.get_label() for line in axes.lines if line.get_label().startswith("set")]
    assert [label.split(":")[0] for label in labels] == list(OUTSIDE)
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines[:12]}) == 12


@pytest.mark.parametrize("channels", [1, 3])
def test_galleries_show_the_images_in_the_order_of_their_scores(channels):
    """The least OOD image comes first in its row, the most OOD last in the other; scores stand above."""
    images = GENERATOR.random((20, 6, 6, channels)).astype(np.float32)
    scores = GENERATOR.permutation(20).astype(np.float32)
    figure = plots.extremes(images, scores, count=5)
    drawn = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in drawn] == ["0", "1", "2", "3", "4", "15", "16", "17", "18", "19"]
    np.testing.assert_array_equal(drawn[0].images[0].get_array(), images[np.argmin(scores)].squeeze())
    np.testing.assert_array_equal(drawn[-1].images[0].get_array(), images[np.argmax(scores)].squeeze())


def test_pictures_have_something_in_them(tmp_path):
    """Every kind of picture is a figure that a PNG file holds; every image given is drawn."""
    images = GENERATOR.random((18, 8, 8, 1))
    latents = {"in-distribution": GENERATOR.normal(size=(60, 5)), "noise": GENERATOR.normal(size=(20, 5))}
    norms = {name: np.linalg.norm(values, axis=-1) for name, values in latents.items()}
    for name, figure in {
        "errors": plots.error_maps(images, 1 - images, np.arange(18)),
        "samples": plots.gallery({"samples": images}),
        "sphere": plots.latent_sphere(latents, radius=2.0),
        "norms": plots.norm_histograms(norms, radius=2.0),
        "curves": plots.training_curves({"nll": [3.0, 2.0], "val_nll": [3.5, 2.5], "kl": [1.0, 1.0], "val_loss": [1.0, 2.0]}),
    }.items():
        assert isinstance(figure, Figure)
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
        if name in ("errors", "samples"):
            assert sum(bool(axes.images) for axes in figure.axes) == (54 if name == "errors" else 18)


def test_the_error_map_is_bright_where_the_image_differs():
    """One pixel that is not reconstructed is the map's brightest, in that image's map alone."""
    images = np.full((2, 8, 8, 3), 0.5)
    reconstructed = images.copy()
    reconstructed[1, 2, 5] = 1.0
    figure = plots.error_maps(images, reconstructed)
    maps = [axes.images[0].get_array() for axes in figure.axes[4:]]
    assert maps[0].max() == 0
    assert np.unravel_index(np.argmax(maps[1]), (8, 8)) == (2, 5)
    assert np.count_nonzero(maps[1]) == 1


def test_the_sphere_shows_true_norms():
    """A point's distance from the centre is its latent's norm, whatever the projection; two dimensions are refused."""
    latents = GENERATOR.normal(size=(40, 7))
    points = np.stack(plots.latent_sphere({"images": latents}, radius=0).axes[0].collections[0]._offsets3d, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), np.linalg.norm(latents, axis=-1))
    with pytest.raises(ValueError, match=r"Received: \{'a': \(4, 2\)\}"):
        plots.latent_sphere({"a": np.zeros((4, 2))}, radius=1.0)


def test_the_roc_band_holds_the_curve_and_narrows_with_more_images():
    """The curve lies inside its band nearly everywhere; four times the images halve the band; none without resamples."""

    def band(size):
        inside, outside = np.random.default_rng(1).normal(0, 1, size), np.random.default_rng(2).normal(1, 1, size)
        return charts._roc_band(inside, outside, np.linspace(0, 1, 101), 200, 0.95), np.sort(inside), outside

    (low, high), inside, outside = band(400)
    curve = [np.mean(outside > threshold) for threshold in np.quantile(inside, 1 - np.linspace(0, 1, 101)[1:-1])]
    assert np.mean((low[1:-1] <= curve) & (curve <= high[1:-1])) > 0.95
    wide, narrow = np.mean(high - low), np.mean(np.subtract(*band(1600)[0][::-1]))
    assert narrow == pytest.approx(wide / 2, rel=0.15)
    assert not plots.roc_curves(inside, {"outside": outside}, resamples=0).axes[0].collections


def test_training_curves_have_units_and_no_panel_twice():
    """A detector's loss is its mean nll, in nats, and is drawn once; nothing to draw is an error, not an empty picture."""
    panels = plots.training_curves({"loss": [3.0, 2.0], "nll": [3.0, 2.0], "latent_norm": [1.0, 1.0]}).axes
    assert [(axes.get_title(), axes.get_ylabel()) for axes in panels] == [("nll", "nats"), ("latent_norm", "")]
    with pytest.raises(ValueError, match="Received: none"):
        plots.training_curves({})


def test_a_martingale_stands_above_its_scores():
    """Both over the same images, with the line of the alarm, the alarm and the change where there are any."""
    values, scores = np.linspace(0, 3, 40), np.arange(40.0)
    above, below = plots.martingale(values, scores, 0.01, first=100, alarm=127, change=110).axes
    np.testing.assert_array_equal(above.lines[0].get_xydata(), np.column_stack([np.arange(100, 140), values]))
    np.testing.assert_array_equal(below.lines[0].get_ydata(), scores)
    assert [list(line.get_xdata()) for line in below.lines[1:]] == [[110, 110], [127, 127]]
    assert above.lines[1].get_ydata()[0] == 2
    assert [len(axes.lines) for axes in plots.martingale(values, scores, 0.01).axes] == [2, 1]


def heated(height=40, width=60):
    """A photograph of noise, and p-values that are small in one rectangle and nearly so beside it."""
    p_values = np.full((height, width), 0.9, np.float32)
    p_values[10:20, 20:50] = 0.15
    p_values[12:18, 30:40] = 0.01
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8), p_values


@pytest.mark.parametrize("channels", [1, 3])
def test_an_overlay_has_colour_where_the_image_is_odd(channels):
    """Grey where it is normal, colour where p is small, a white line around p <= fpr; bytes and floats look the same."""
    image, p_values = heated()
    image = image[..., :channels]
    drawn = plots.overlay(image, p_values)
    assert (drawn.shape, drawn.dtype) == ((40, 60, 3), np.uint8)
    is_grey = np.ptp(drawn.astype(int), axis=-1) == 0
    white = np.all(drawn == 255, axis=-1)
    odd = p_values <= 0.05
    assert is_grey[p_values > 0.2].all()
    assert not is_grey[odd].any()
    assert white[11, 29:41].all()
    assert white[12:18, [29, 40]].all()
    assert not white[odd].any()
    np.testing.assert_array_equal(plots.overlay(image / np.float32(255), p_values), drawn)
    assert not np.array_equal(plots.overlay(image, p_values, fpr=0.005), drawn)


def test_overlays_stand_below_their_images():
    """Ten images in two lines, each above its overlay, with the line around a known defect in the image alone."""
    image, p_values = heated()
    images, maps = np.stack([image] * 10), np.stack([p_values] * 10)
    masks = maps < 0.1
    figure = plots.overlays(images, maps, masks=masks)
    drawn = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(drawn) == 20
    np.testing.assert_array_equal(drawn[8], plots.overlay(image, p_values))
    np.testing.assert_array_equal(drawn[-1], drawn[8])
    changed = np.any(drawn[0] != image, axis=-1)
    assert changed[11, 29:41].all()
    assert not changed[masks[0]].any()
    np.testing.assert_array_equal(plots.overlays(images[:1], maps[:1]).axes[0].images[0].get_array(), image)


def test_overlays_refuse_what_does_not_fit():
    """Images, maps and masks of different sizes, p-values of 0 and rates outside 0..1."""
    image, p_values = heated()
    with pytest.raises(ValueError, match=r"Received: \(40, 60, 3\) and \(39, 60\)"):
        plots.overlay(image, p_values[1:])
    with pytest.raises(ValueError, match=r"Received: 0\.0 to"):
        plots.overlay(image, np.where(p_values < 0.1, 0, p_values))
    with pytest.raises(ValueError, match=r"Received: 1\.5"):
        plots.overlay(image, p_values, fpr=1.5)
    with pytest.raises(ValueError, match=r"None|\(1, 39, 60\)"):
        plots.overlays(image[None], p_values[None], masks=np.zeros((1, 39, 60), bool))
