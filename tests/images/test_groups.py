"""Images that belong together: their labels, and folds that leave them out as a whole."""

import numpy as np
import pytest
from PIL import Image
from sklearn.model_selection import KFold

from keras_ood.images import ImageFiles
from keras_ood.images.groups import group_labels, leave_out


@pytest.fixture
def files(tmp_path):
    """Two folders with a broken file between the images of the second."""
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    (tmp_path / "b" / "2.png").write_bytes(b"no image")
    return ImageFiles(tmp_path, unreadable="skip")


def test_labels_of_images(files):
    """Numbers that are equal where the labels are; each image alone without; folders of what could be read."""
    np.testing.assert_array_equal(group_labels(None, None, 3), [0, 1, 2])
    np.testing.assert_array_equal(group_labels(["x", "y", "x"], None, 3), [0, 1, 0])
    with pytest.warns(UserWarning, match="Skipped an unreadable image"):
        assert len(list(files)) == 4
    np.testing.assert_array_equal(group_labels("folder", files, 4), [0, 0, 1, 1])


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ("folder", r"labels, one an image, or 'folder' where images are files\. Received: 'folder' with ndarray"),
        ("day", r"Received: 'day' with ndarray"),
        ([0, 1], r"one label an image, 3 in all\. Received: labels of shape \(2,\)"),
        (np.zeros((3, 2)), r"Received: labels of shape \(3, 2\)"),
    ],
)
def test_labels_that_cannot_be(groups, words):
    with pytest.raises(ValueError, match=words):
        group_labels(groups, np.zeros((3, 2, 2, 1)), 3)


def test_folds_leave_groups_out():
    """Each group once, never on both sides; of images that stand alone scikit-learn's folds."""
    groups = np.random.default_rng(0).integers(0, 23, 200)
    parts = leave_out(200, 5, seed=1, groups=groups)
    assert sorted(np.concatenate([out for _, out in parts])) == list(range(200))
    for kept, out in parts:
        assert len(kept) + len(out) == 200
        assert not set(groups[kept]) & set(groups[out])
    folds = KFold(5, shuffle=True, random_state=1).split(np.arange(30))
    for (kept, out), (other_kept, other_out) in zip(leave_out(30, 5, seed=1), folds, strict=True):
        np.testing.assert_array_equal(kept, other_kept)
        np.testing.assert_array_equal(out, other_out)
    with pytest.raises(ValueError, match=r"5 folds take at least as many groups of images\. Received: 4"):
        leave_out(40, 5, seed=0, groups=np.arange(40) % 4)
