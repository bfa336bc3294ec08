"""Pictures: every set and image is drawn."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from keras_ood import plots

GENERATOR = np.random.default_rng(0)
OUTSIDE = {f"set {index}": GENERATOR.normal(index, 1, 50) for index in range(12)}


@pytest.mark.once
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


def test_reconstructions_and_samples(tmp_path):
    """Originals above reconstructions, and a gallery of more than one line, as PNG files with something in them."""
    images = GENERATOR.random((18, 8, 8, 1))
    for name, figure in {
        "reconstructions": plots.reconstructions(images, 1 - images, np.arange(18)),
        "samples": plots.gallery({"samples": images}),
    }.items():
        assert isinstance(figure, Figure)
        assert sum(bool(axes.images) for axes in figure.axes) == (36 if name == "reconstructions" else 18)
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
