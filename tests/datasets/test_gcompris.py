"""Sample photographs out of a package as Debian's: a small one, made here in the formats of `ar`, tar and Qt."""

import io
import json
import re
import struct
import tarfile
import zlib
from pathlib import Path

import keras
import pytest
from typer.testing import CliRunner

from keras_ood.cli.main import app
from keras_ood.datasets import gcompris
from keras_ood.datasets.debian_package import read_package
from keras_ood.datasets.gcompris import photographs
from keras_ood.datasets.qt_resources import read_resources

# Activity -> files in it, those wanted and some that are not.
ACTIVITIES = {
    "explore_monuments": [
        *(f"resource/{country}/place.webp" for country in ("egypt", "france", "germany", "india", "usa", "wonders")),
        "resource/egypt/egypt.svg",
    ],
    "categorization": [
        *(f"resource/images/{name}.webp" for name in ("monuments/burj", "monuments/tajMahal", "renewable/windmill1")),
        *(f"resource/images/{name}.webp" for name in ("renewable/dam1", "fishes/fish1", "tools/hammer1")),
    ],
    "details": ["resource/image/Nagoya_background.webp", "resource/image/Gogh4_background.webp"],
    "explore_farm_animals": ["resource/animals/horse.webp"],
    "erase": ["resource/horse.webp"],
    "explore_world_animals": ["resource/animals/moose.webp"],
    "chess": ["resource/king.webp"],
}
WANTED = {
    *(f"landmarks/{country}/place.webp" for country in ("egypt", "france", "germany", "india", "usa", "wonders")),
    *(f"landmarks/elsewhere/{name}.webp" for name in ("burj", "Nagoya")),
    *("windmills/windmill1.webp", "power_plants/dam1.webp", "paintings/Gogh4.webp", "fishes/fish1.webp", "tools/hammer1.webp"),
    *("animals/farm/horse.webp", "animals/wild/horse.webp", "animals/world/moose.webp"),
    "LICENCES.txt",
}


def resources(files, version=3, flags=0):
    """The bytes of an `.rcc` file, as Qt's compiler lays them out: data, names and a tree that is stored level by level."""
    root: dict = {}
    for path, content in files.items():
        folder = root
        *folders, name = path.split("/")
        for part in folders:
            folder = folder.setdefault(part, {})
        folder[name] = content
    levels = [("", root)]
    data, names, nodes = bytearray(), bytearray(), []
    place = 0
    while place < len(levels):  # a folder's children stand together, after all that came before
        name, content = levels[place]
        begun = struct.pack(">I", len(names))
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
        if isinstance(content, dict):
            nodes.append(begun + struct.pack(">HII", 2, len(content), len(levels)))
            levels += content.items()
        else:
            nodes.append(begun + struct.pack(">HHHI", flags, 0, 0, len(data)))
            stored = struct.pack(">I", len(content)) + zlib.compress(content) if flags & 1 else content
            data += struct.pack(">I", len(stored)) + stored
        place += 1
    tree = b"".join(node + bytes(8 if version > 1 else 0) for node in nodes)
    start = 24
    header = struct.pack(">4sIIIII", b"qres", version, start + len(data) + len(names), start, start + len(data), 0)
    return header + data + names + tree


def package(path, files, compression="xz"):
    """A Debian package of `{path: bytes}`, with what comes before the data in a true one."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{compression}") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", f"data.tar.{compression}": stream.getvalue()}
    written = b"!<arch>\n"
    for name, content in members.items():
        written += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content + b"\n" * (len(content) % 2)
        )
    path.write_bytes(written)
    return path


@pytest.fixture
def deb(tmp_path):
    """GCompris' package in small: each picture holds its own path."""
    files = {"usr/share/doc/gcompris-qt-data/copyright": b"GPL", "usr/bin/other": b"no"}
    for activity, paths in ACTIVITIES.items():
        pictures = {path: path.encode() for path in (f"gcompris/src/activities/{activity}/{path}" for path in paths)}
        files[f"usr/share/gcompris-qt/rcc/{activity}.rcc"] = resources(pictures)
    return package(tmp_path / "gcompris.deb", files)


def found(folder):
    """The files in a folder, as paths in it."""
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


def test_photographs_lie_in_a_folder_a_set(deb, tmp_path, monkeypatch):
    """Where they are asked for, and once and for all beside the download; a second call unpacks nothing."""
    asked = []
    monkeypatch.setattr(keras.utils, "get_file", lambda **settings: asked.append(settings) or str(deb))
    folder = photographs(tmp_path / "new" / "photos")
    assert found(folder) == WANTED
    assert (folder / "animals/wild/horse.webp").read_bytes() == b"gcompris/src/activities/erase/resource/horse.webp"
    assert {settings["file_hash"] for settings in asked} == {gcompris.SHA256}
    kept = photographs()
    assert kept == deb.with_name("photographs")
    assert found(kept) == WANTED
    (kept / "LICENCES.txt").unlink()
    assert found(photographs()) == WANTED - {"LICENCES.txt"}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.once
def test_the_command_gets_them(deb, tmp_path, monkeypatch):
    """A table of the sets for people, with what to try next; a document with --json; an error in a line."""
    monkeypatch.setattr(keras.utils, "get_file", lambda **settings: print("progress") or str(deb))
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(app, ["photographs"])
    assert shown.exit_code == 0, shown.output
    assert found("photographs") == WANTED
    assert re.search("photographs/landmarks/ +│ +8 ", shown.stdout)
    assert "keras-ood finetune --data photographs/landmarks --ood photographs/animals" in shown.stderr
    document = json.loads(CliRunner().invoke(app, ["photographs", "again", "--json"]).stdout)
    assert document["sets"]["animals"] == 3
    again = CliRunner().invoke(app, ["photographs"])
    assert (again.exit_code, again.stderr.count("\n")) == (1, 1)
    assert "absent or empty. Received: " in again.stderr


def test_what_holds_something_is_left_alone(deb, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.utils, "get_file", lambda **settings: str(deb))
    with pytest.raises(FileExistsError, match=r"absent or empty\. Received: .*gcompris\.deb"):
        photographs(deb)
    with pytest.raises(FileExistsError, match=r"absent or empty\. Received: "):
        photographs(tmp_path)


def test_a_download_that_fails_says_of_what(monkeypatch, tmp_path):
    def fail(**settings):
        raise Exception(f"URL fetch failure on {settings['origin']}")  # as Keras does

    monkeypatch.setattr(keras.utils, "get_file", fail)
    with pytest.raises(OSError, match=r"cannot be downloaded from https://deb\.debian\.org/.*_all\.deb \(URL fetch"):
        photographs(tmp_path / "photos")
    assert not (tmp_path / "photos").exists()


def test_another_package_is_refused(tmp_path):
    """Nothing is left of it."""
    other = package(tmp_path / "other.deb", {"usr/bin/other": b"no"})
    with pytest.raises(ValueError, match=r"Expected GCompris' package with .*Received: .*other\.deb without \['land"):
        gcompris.unpack(other, tmp_path / "photos")
    assert list(tmp_path.iterdir()) == [other]


@pytest.mark.parametrize("compression", ["xz", "gz", ""])
def test_files_of_a_package(tmp_path, compression):
    path = package(tmp_path / "a.deb", {"a": b"1", "b/c": b"two"}, compression)
    assert list(read_package(path, lambda name: True)) == [("a", b"1"), ("b/c", b"two")]
    assert list(read_package(path, lambda name: name.startswith("b/"))) == [("b/c", b"two")]


@pytest.mark.parametrize("damage", ["empty", "another file", "cut short", "without data"])
def test_a_damaged_package_is_one_error(tmp_path, damage):
    path = package(tmp_path / "a.deb", {"a": bytes(range(256)) * 9})
    content = path.read_bytes()
    path.write_bytes(
        {"empty": b"", "another file": b"no package", "cut short": content[:-300], "without data": content[:150]}[damage]
    )
    with pytest.raises(ValueError, match=r"Expected a Debian package\. Received: .*a\.deb \("):
        list(read_package(path, lambda name: True))


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("flags", [0, 1])
def test_files_of_a_resource(version, flags):
    """In folders of several levels, stored as they are or by zlib."""
    files = {"a/b/é.txt": b"one", "a/c.txt": b"two" * 99, "d.txt": b""}
    assert dict(read_resources(resources(files, version, flags))) == files


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Expected a whole resource file of Qt. Received: 0 bytes"),
        (b"no resource at all......", "Expected a resource file of Qt, version 1, 2 or 3. Received: b'no resou'"),
        (resources({"a": b"1"}, version=9), "version 1, 2 or 3. Received: b'qres"),
        (resources({"a": b"1"}, flags=4), "zlib or not at all. Received: a, by Zstandard"),
        (resources({"a/b": b"1"})[:-30], "Expected a whole resource file of Qt. Received: "),
        (resources({"a": bytes(9)}, flags=1).replace(zlib.compress(bytes(9)), bytes(len(zlib.compress(bytes(9))))), "whole"),
    ],
)
def test_a_damaged_resource_is_one_error(content, words):
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        list(read_resources(content))
