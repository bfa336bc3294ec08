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
    paths = PathList([tmp_path], frozenset({".png", ".jpg"}))
    assert list(paths) == expected
    assert len(paths) == len(NAMES)
    assert paths[1:3] == expected[1:3]
    assert paths[-1] == expected[-1]
    assert expected[0] in paths


def test_no_file_is_an_empty_list(tmp_path):
    """An empty folder has no path."""
    assert list(PathList([tmp_path], frozenset({".png"}))) == []


PNG = frozenset({".png"})


def found(*given):
    paths = PathList(given, PNG)
    return [path.relative_to(given[0]).as_posix() for path in paths]


def test_a_link_to_a_folder_is_followed_once(tmp_path):
    """Real folders first, then links in sorted order; cycles and second ways to a folder end; links to files count."""
    fill(tmp_path, ["in/real/a.png", "out/b.png", "out/deep/c.png"])
    root = tmp_path / "in"
    os.symlink(root / "real" / "a.png", root / "link.png")
    os.symlink(root / "real", root / "again")
    os.symlink(tmp_path / "out", root / "z")
    os.symlink(tmp_path / "out", root / "y")
    os.symlink(root, tmp_path / "out" / "cycle")
    os.symlink(tmp_path / "out" / "deep", root / "real" / "inner")
    assert found(root) == ["link.png", "real/a.png", "real/inner/c.png", "y/b.png"]


def test_no_folder_is_read_twice(tmp_path):
    """A folder given twice, within another, or as a link to it: its files count once; files given one by one as often."""
    fill(tmp_path, ["a/1.png", "a/b/2.png"])
    os.symlink(tmp_path / "a", tmp_path / "link")
    a = tmp_path / "a"
    assert list(PathList([tmp_path / "a", tmp_path / "link", a / "b", a], PNG)) == [a / "1.png", a / "b" / "2.png"]
    assert list(PathList([a / "1.png", a / "1.png"], PNG)) == [a / "1.png"] * 2


def test_broken_links_are_named_and_hidden_things_are_not(tmp_path):
    """Names with a dot in front, `__MACOSX` and what Windows leaves are no data; nor are they left out."""
    hidden = [".git/x.png", ".ipynb_checkpoints/y.png", "._a.png", "__MACOSX/a.png", "b/.c/d.png", "Thumbs.db", "desktop.ini"]
    fill(tmp_path, ["a.png", "b/note.TXT", *hidden])
    os.symlink(tmp_path / "nowhere", tmp_path / "broken.png")
    os.symlink(tmp_path / "self", tmp_path / "self")
    os.symlink(tmp_path / "nowhere", tmp_path / ".hidden")
    paths = PathList([tmp_path], PNG)
    assert list(paths) == [tmp_path / "a.png"]
    assert paths.left_out == {".txt": 1}
    assert paths.broken_links == [tmp_path / "broken.png", tmp_path / "self"]
    assert list(PathList([tmp_path / ".git"], PNG)) == [tmp_path / ".git" / "x.png"]


def test_a_path_takes_the_bytes_of_its_name(tmp_path):
    """No object for each path: the names are one array."""
    fill(tmp_path, [f"{number:03}.png" for number in range(500)])
    paths = PathList([tmp_path], frozenset({".png"}))
    assert isinstance(paths._parts[0]._names, np.ndarray)
    assert paths._parts[0]._names.nbytes == 500 * len("000.png")
