"""Progress on standard error while images are worked on."""

import pytest

from keras_ood.terminal.progress import track_images

pytestmark = pytest.mark.once


@pytest.mark.parametrize("total", [40, None])
def test_images_have_a_rate(total, images, capsys):
    """The bar names images done and their rate, whether or not their number is known beforehand."""
    batches = (images[start : start + 8] for start in range(0, 40, 8))
    assert sum(map(len, track_images(batches, total, True))) == 40
    shown = capsys.readouterr().err
    assert f"40/{total or '?'} images, " in shown
    assert "/s" in shown
