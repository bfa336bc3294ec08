"""Many paths in little memory."""

import os

import numpy as np
import pytest

from keras_ood.images import path_list
from keras_ood.images.path_list import PathList

pytestmark = pytest.mark.once

NAMES = ["b/2.png", "a.png", "b/10.PNG", "b-c/x.png", "b/c/deep.png", "ä/ü.png", "z.jpg"]


def fill(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize("chunk", [1, 2, 7, 100])
def test_paths_are_those_of_pathlib_in_its_order(chunk, tmp_path, monkeypatch):
    """Sorted by parts: a folder stays together, in whatever chunks names are gathered."""
    monkeypatch.setattr(path_list, "_CHUNK", chunk)
    fill(tmp_path, [*NAMES, "note.txt", "b/none"])
    (tmp_path / "folder.png").mkdir()
    expected = sorted(file for file in tmp_path.rglob("*") if file.suffix.lower() in {".png", ".jpg"} and file.is_file())
    paths = PathList(tmp_path, frozenset({".png", ".jpg"}))
    assert list(paths) == expected
    assert len(paths) == len(NAMES)
    assert paths[1:3] == expected[1:3]
    assert paths[-1] == expected[-1]
    assert expected[0] in paths


def test_no_file_is_an_empty_list(tmp_path):
    """An empty folder has no path."""
    assert list(PathList(tmp_path, frozenset({".png"}))) == []


def test_links_to_files_count_and_links_to_folders_do_not(tmp_path):
    """As `rglob` does it; a broken link is no file."""
    fill(tmp_path, ["real/a.png"])
    os.symlink(tmp_path / "real" / "a.png", tmp_path / "link.png")
    os.symlink(tmp_path / "real", tmp_path / "folder")
    os.symlink(tmp_path / "nowhere", tmp_path / "broken.png")
    assert [path.name for path in PathList(tmp_path, frozenset({".png"}))] == ["link.png", "a.png"]


def test_a_path_takes_the_bytes_of_its_name(tmp_path):
    """No object for each path: the names are one array."""
    fill(tmp_path, [f"{number:03}.png" for number in range(500)])
    paths = PathList(tmp_path, frozenset({".png"}))
    assert isinstance(paths._names, np.ndarray)
    assert paths._names.nbytes == 500 * len("000.png")
