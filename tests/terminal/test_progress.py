"""Progress on standard error, and to who listens, while images are worked on."""

import pytest

from keras_ood.terminal.progress import begin, listening, track_images

pytestmark = pytest.mark.once


@pytest.mark.parametrize("total", [40, None])
def test_images_have_a_rate(total, images, capsys):
    """The bar names images done and their rate, whether or not their number is known beforehand."""
    batches = (images[start : start + 8] for start in range(0, 40, 8))
    assert sum(map(len, track_images(batches, total, True))) == 40
    shown = capsys.readouterr().err
    assert f"40/{total or '?'} images, " in shown
    assert "/s" in shown


def test_who_listens_is_told(images):
    """Stages and images, with or without a bar; nobody before and after, the outer listener again after an inner one."""
    outer, inner = [], []

    def work(stage):
        begin(stage)
        list(track_images((images[start : start + 16] for start in range(0, 40, 16)), 40, progress=False))

    work("before")
    with listening(lambda *report: outer.append(report)):
        with listening(lambda *report: inner.append(report)):
            work("inner")
        assert outer == []
        list(track_images([images[:8]], None, progress=False))
        work("outer")
    work("after")
    assert inner == [("inner", 0, None), ("inner", 16, 40), ("inner", 32, 40), ("inner", 40, 40)]
    assert outer == [("", 8, None), ("outer", 0, None), ("outer", 16, 40), ("outer", 32, 40), ("outer", 40, 40)]
