"""The app without a browser: verdicts, what is nearest, archives, the command."""

import csv
import html
import io
import re
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from packaging.requirements import Requirement
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sklearn.neighbors import NearestNeighbors
from typer.testing import CliRunner

import keras_ood
from keras_ood.app import archive, explanation, session, verdicts
from keras_ood.app.archive import Archive
from keras_ood.app.batch import score_archive
from keras_ood.app.examples import examples
from keras_ood.app.session import Session, at_hand, open_session
from keras_ood.calibration.rule import Rule
from keras_ood.cli.main import app
from keras_ood.images import Decoding, ImageWarning, UnreadableImageError, sources
from keras_ood.models import InFlow
from keras_ood.tables.score_table import COLUMNS, Names

pytestmark = pytest.mark.once
MODEL, ROOT = "tilted-vae-digits", Path(__file__).parents[2]


@pytest.fixture(scope="module")
def opened():
    """The session of the embedded preset; tests must not change it."""
    return open_session(MODEL)


@pytest.fixture
def files(digits, tmp_path):
    """Two digits and noise in colour, of different sizes, with a file between them that is no image."""
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    arrays = {"a": digits[1][0, ..., 0], "b": digits[1][1, ..., 0], "d": noise}
    for name, array in arrays.items():
        Image.fromarray(array).save(tmp_path / f"{name}.png")
    (tmp_path / "c <i>.png").write_bytes(b"no image")
    return [str(tmp_path / name) for name in ("a.png", "b.png", "c <i>.png", "d.png")]


def png(array):
    """The bytes of an image file."""
    stream = io.BytesIO()
    Image.fromarray(array.squeeze()).save(stream, "PNG")
    return stream.getvalue()


def zipped(path, members):
    """A .zip file of `{name: bytes}`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_presets_at_hand_are_of_the_zoo():
    """What the page offers needs no download."""
    assert MODEL in at_hand()
    assert set(at_hand()) <= set(keras_ood.list_models())


def test_the_lowest_false_positive_rate_can_be_promised(opened):
    """The slider's least value is at least 1 / (n + 1), and no further from it than its step."""
    least = 1 / (len(opened.calibration) + 1)
    assert least <= opened.lowest_rate < least + 1e-3
    opened.calibration.threshold(opened.lowest_rate)


def test_verdicts_are_the_detectors_own(opened, pretrained, files):
    """Score, p-value and word of each image are what `Detector` says; a broken file has a line and a sentence of its own."""
    with pytest.warns(UserWarning, match="Skipped"):
        words, lines = verdicts.judge(opened, files, Rule(0.05))
    readable = [files[index] for index in (0, 1, 3)]
    scores = [pretrained.score(file)[0] for file in readable]
    flags = [pretrained.detect(file, 0.05)[0] for file in readable]
    assert flags == [False, False, True]
    assert [line[:2] for line in lines] == [[index + 1, Path(file).name] for index, file in enumerate(files)]
    assert [float(lines[index][2]) for index in (0, 1, 3)] == pytest.approx(scores, rel=1e-3)
    words_of = [re.sub("<.*?>", "", line[4]) for line in lines]
    assert words_of == ["in-distribution", "in-distribution", "cannot be read", "out-of-distribution"]
    assert lines[2][2:4] == ["", ""]
    assert "<b>1 of 3</b> images are out-of-distribution at a false positive rate of 5 %" in words
    assert html.escape("c <i>.png") in words
    assert "<i>" not in words
    assert str(Path(files[0]).parent) not in words


def test_a_false_discovery_rate_is_that_of_the_files_together(opened, digits, tmp_path):
    """The flags of `detect(fdr=)` in the order of the files; the sentence says which rate was held."""
    images = np.concatenate([digits[1][:20], 255 - digits[1][:20]])
    paths = [str(tmp_path / f"{number:02}.png") for number in range(40)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image[..., 0]).save(path)
    words, lines = verdicts.judge(opened, paths, Rule(fdr=0.2))
    flags = opened.detector.detect(images, fdr=0.2)
    assert [re.sub("<.*?>", "", line[4]) == "out-of-distribution" for line in lines] == flags.tolist()
    assert f"<b>{flags.sum()} of 40</b> images are out-of-distribution at a false discovery rate of 20 %" in words
    assert flags.sum() > 0


def test_only_broken_files_are_no_error(opened, files):
    """Every file has its line where none can be read."""
    with pytest.warns(UserWarning, match="Skipped"):
        words, lines = verdicts.judge(opened, files[2:3], Rule(0.05))
    assert "0 of 0" in words
    assert len(lines) == 1


def test_what_cannot_be_judged_is_said(opened, files, monkeypatch):
    """A rate out of reach, files that are gone, too many files."""
    with pytest.raises(ValueError, match=r"Received: fpr=0.0001"):
        verdicts.judge(opened, files, Rule(0.0001))
    with pytest.raises(ValueError, match=r"drop them again. Received: gone.png"):
        verdicts.judge(opened, [*files, "/nowhere/gone.png"], Rule(0.05))
    monkeypatch.setattr(verdicts, "MOST_FILES", 3)
    with pytest.raises(ValueError, match=r"At most 3 images.*Received: 4"):
        verdicts.judge(opened, files, Rule(0.05))


def test_images_of_many_sizes_keep_their_order(opened, pretrained, monkeypatch):
    """Converting images of one size together changes neither scores nor order, wherever the groups end."""
    monkeypatch.setattr(sources, "LARGE", 300)
    generator = np.random.default_rng(0)
    shapes = [(8, 8, 1)] * 7 + [(9, 7, 3)] * 2 + [(8, 8, 1)] * 3 + [(40, 40, 3)]
    images = [generator.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    rows = list(opened.rows(iter(images), Names(range(len(images)), {}), Rule(0.05)))
    assert [row[0] for row in rows] == [str(index) for index in range(len(images))]
    expected = [pretrained.score(image[None])[0] for image in images]
    np.testing.assert_allclose([row[1] for row in rows], expected, rtol=1e-4)


def test_the_nearest_images_are_those_of_the_least_distance(opened, digits):
    """By Euclidean distance between posterior means; an image of the set is its own nearest."""
    neighbours, detector = opened.neighbours, opened.detector
    assert len(neighbours) == len(digits[1])
    latents = detector.posterior_parameters(opened.inside)[0]
    nearest = neighbours.nearest(latents[17:18], 5)
    order = np.argsort(np.linalg.norm(latents - latents[17], axis=-1), kind="stable")[:5]
    np.testing.assert_array_equal(nearest, opened.inside[order])
    np.testing.assert_array_equal(nearest[0], opened.inside[17])
    assert len(neighbours.nearest(latents[17:18], 10_000)) == len(neighbours)


def test_a_heat_map_is_shown_where_maps_are_calibrated(pretrained, digits, tmp_path):
    """Below the image and its neighbours, which stay grey, in place of the reconstruction; the page says what it promises."""
    detector = pretrained.inference_copy()
    detector.calibrate_maps(digits[0][:200], progress=False)
    detector.save_pretrained(tmp_path / "mapped", in_distribution={"name": "digits", "title": "digits"})
    figure, words = explanation.explain(Session(str(tmp_path / "mapped")), digits[1][0])
    assert explanation.HEAT.format(fpr=5) in words
    assert sum(bool(axes.images) for axes in figure.axes) == 2 * (1 + explanation.NEAREST)


def test_an_image_is_explained(opened, digits):
    """Image, reconstruction and map of it and of the nearest; the words say what they are and where from."""
    figure, words = explanation.explain(opened, digits[1][0])
    assert isinstance(figure, Figure)
    assert sum(bool(axes.images) for axes in figure.axes) == 3 * (1 + explanation.NEAREST)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["this image", "nearest"]
    assert f"nearest of {len(digits[1])} in-distribution images (test images of scikit-learn digits)" in words
    assert explanation.MAP in words


def test_a_flow_without_a_gate_says_what_it_lacks(opened, digits):
    """No map, no nearest images: the image alone, and sentences on both."""
    flow = Session.__new__(Session)
    flow.model, flow.detector, flow.inside = "mine", InFlow((8, 8, 1), depth=1), opened.inside
    figure, words = explanation.explain(flow, digits[1][0])
    assert sum(bool(axes.images) for axes in figure.axes) == 1
    assert explanation.NO_MAP.format(family="InFlow", model=flow.model) in words
    assert explanation.NO_FEATURES.format(family="InFlow") in words


def test_a_gate_has_neighbours(opened, digits):
    """The nearest images of an InFlow are those of its gate's features."""
    encoder = keras_ood.encoders.trained_encoder(opened.detector)
    gate = keras_ood.attention.PerImageGate.from_images(encoder, digits[0][:100], digits[0][100:200], components=4)
    flow = Session.__new__(Session)
    flow.model, flow.detector = "mine", InFlow((8, 8, 1), depth=1, attention=gate)
    flow.inside, flow.inside_source = np.float32(digits[1] / 255), "mine"
    features = keras_ood.encoders.encode(encoder, flow.inside)
    found = NearestNeighbors().fit(features).kneighbors(features[5:6], 3, return_distance=False)[0]
    np.testing.assert_array_equal(flow.neighbours.nearest(flow.detector.features(flow.inside[5:6]), 3), flow.inside[found])
    figure, words = explanation.explain(flow, digits[1][0])
    assert sum(bool(axes.images) for axes in figure.axes) == 1 + explanation.NEAREST
    assert "(mine)" in words


def test_ones_own_detector_and_images(pretrained, files, digits, tmp_path):
    """A preset that names no data set has no images at hand, says how to give them, and takes those of a folder."""
    folder = tmp_path / ".mine"
    pretrained.save_pretrained(folder)
    without = Session(str(folder))
    assert without.inside is None
    assert f"keras-ood app {folder} --images FOLDER" in explanation.explain(without, digits[1][0]).words
    with pytest.raises(UnreadableImageError, match="c <i>"):
        Session(str(folder), str(Path(files[0]).parent))
    with pytest.warns(ImageWarning, match="Skipped"):
        given = Session(str(folder), (str(Path(files[0]).parent),), "skip")
    assert given.inside.shape == (3, *pretrained.image_shape)
    assert sum(bool(axes.images) for axes in explanation.explain(given, digits[1][0]).figure.axes) == 3 * (1 + 3)
    assert {word for _, word in examples(without)} == {"digit", "rotated", "inverted", "blurred", "noise"}


def test_images_at_hand_are_thinned_out(monkeypatch):
    """Of many images an even choice is kept."""
    monkeypatch.setattr(session, "MOST_IN_DISTRIBUTION", 10)
    inside = Session(MODEL).inside
    every = open_session(MODEL).inside
    assert len(inside) == 10
    np.testing.assert_array_equal(inside[[0, -1]], every[[0, -1]])


def test_examples_are_of_both_kinds(opened):
    """In-distribution images first, then others, in the order of their words."""
    offered = examples(opened)
    kinds = [word for _, word in offered]
    assert kinds == ["in-distribution"] * 3 + ["rotated", "inverted", "blurred", "noise"]
    images = [np.asarray(image)[..., None] for image, _ in offered]
    flags = opened.detector.detect(np.stack(images), 0.05)
    assert flags[[3, 4, 6]].all()


def test_sessions_are_kept(opened):
    """A preset is loaded once."""
    assert open_session(MODEL) is opened


MEMBERS = {
    "a/b/one.png": "image",
    "two.PNG": "image",
    "broken.jpg": b"no image",
    "a/": b"",
    "notes.txt": b"text",
    "__MACOSX/a/._one.png": b"apple",
    ".hidden.png": b"hidden",
    "a/.git/x.png": b"hidden",
    "a\\Thumbs.db": b"windows",
    "a\\": b"",
    "a\\.ipynb_checkpoints\\y.png": b"hidden",
    "c\\d\x1b\n.png": "image",
    "C:\\x.png": "image",
    "/absolute.png": "image",
    "../../outside.png": "image",
}


NAMES = ["a/b/one.png", "two.PNG", "broken.jpg", r"c/d\x1b\n.png", "C:/x.png", "/absolute.png", "../../outside.png"]


def members(digits):
    """`MEMBERS` with images."""
    return {name: png(digits[1][0]) if content == "image" else content for name, content in MEMBERS.items()}


def test_an_archive_gives_its_images(digits, tmp_path):
    """Image files by name, in order; folders and what is hidden are left out, backslashes are slashes; nothing is written."""
    path = zipped(tmp_path / "images.zip", members(digits))
    before = sorted(tmp_path.parent.rglob("*"))
    images = Archive(path, Decoding())
    assert images.names == NAMES
    assert images.left_out == 1
    for _ in range(2):
        found = list(images)
        assert list(images.skipped) == ["broken.jpg"]
        assert len(found) == 6
        assert all(np.array_equal(image, digits[1][0]) for image in found)
    assert sorted(tmp_path.parent.rglob("*")) == before


def test_members_that_lie_are_skipped(digits, tmp_path, monkeypatch):
    """A member that is damaged, under a password or too large is named; the others are read."""
    content = png(digits[1][0])
    path = zipped(
        tmp_path / "images.zip", {"damaged.png": content, "locked.png": content, "large.png": content * 3, "fine.png": content}
    )
    raw = bytearray(path.read_bytes())
    start = raw.index(b"damaged.png") + len("damaged.png")
    raw[start : start + 20] = bytes(20)
    entry = raw.rindex(b"PK\x01\x02", 0, raw.rindex(b"locked.png"))
    raw[entry + 8] |= 1  # encrypted, says the directory
    local = raw.rindex(b"PK\x03\x04", 0, raw.index(b"locked.png"))
    raw[local + 6] |= 1
    path.write_bytes(raw)
    monkeypatch.setattr(archive, "MOST_BYTES_OF_ONE", 2 * len(content))
    images = Archive(path, Decoding())
    assert len(list(images)) == 1
    assert list(images.skipped) == ["damaged.png", "locked.png", "large.png"]


def deep(array):
    """16 bits of a digit's 8, lightest at 4080."""
    return png(array.astype(np.uint16) * 16)


def gif(digits):
    """Three frames."""
    frames = [Image.fromarray(digits[1][index, ..., 0]) for index in range(3)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


def bomb(size):
    """A PNG file of a few hundred bytes that says it has `size` x `size` pixels."""
    content = bytearray(png(np.zeros((8, 8), np.uint8)))
    content[16:24] = struct.pack(">II", size, size)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


def test_what_strangers_send_is_bounded(opened, digits, tmp_path):
    """Too many pixels, whether there or only said to be, and text that unpacks to megabytes: not read, never a crash."""
    stream, text = io.BytesIO(), PngInfo()
    text.add_text("x", "x" * 2**21, zip=True)
    Image.fromarray(digits[1][0, ..., 0]).save(stream, "PNG", pnginfo=text)
    wide = io.BytesIO()
    Image.new("1", (session.MOST_PIXELS // 1000 + 1, 1000)).save(wide, "PNG")
    sent = {
        "a.png": bomb(7100),
        "b.png": bomb(10_000),
        "c.png": bomb(60_000),
        "d.png": wide.getvalue(),
        "e.png": stream.getvalue(),
    }
    for name, content in sent.items():
        (tmp_path / name).write_bytes(content)
    images = Archive(zipped(tmp_path / "x.zip", sent), opened.decoding)
    assert list(images) == []
    assert list(images.skipped) == list(sent)
    for name in "abd":
        assert images.skipped[f"{name}.png"].startswith("An image file may have 50,000,000 pixels. Received: ")
    with pytest.warns(ImageWarning, match="Skipped"):
        words, lines = verdicts.judge(opened, [str(tmp_path / name) for name in sent], Rule(0.05))
    assert [re.sub("<.*?>", "", line[4]) for line in lines] == ["cannot be read"] * 5
    assert "50,000,000 pixels" in words


def test_what_is_sent_is_decoded_as_the_page_was_told(digits, tmp_path):
    """16 bits by the page's range, in both tabs; frames after the first are counted."""
    page = Session(MODEL, None, "raise", Decoding(value_range=(0, 4080)))
    sent = {"deep.png": deep(digits[1][0]), "many.gif": gif(digits)}
    for name, content in sent.items():
        (tmp_path / name).write_bytes(content)
    with pytest.warns(ImageWarning, match="further frames"):
        words, lines = verdicts.judge(page, [str(tmp_path / name) for name in sent], Rule(0.05))
    assert "Further frames of the images, left out: 2." in words
    assert lines[0][2:] == lines[1][2:]
    batch = score_archive(page, zipped(tmp_path / "x.zip", sent), Rule(0.05), tmp_path / "x.csv", lambda *_: None)
    assert "Further frames of the images, left out: 2." in batch.words
    with (tmp_path / "x.csv").open(newline="") as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(scores, page.detector.score(digits[1][:1])[0], rtol=1e-4)


def test_of_members_of_one_name_the_last_counts(digits, tmp_path):
    """As if the archive were unpacked."""
    path = zipped(tmp_path / "images.zip", {"a.png": b"no image"})
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("a.png", png(digits[1][3]))
    images = Archive(path, Decoding())
    assert images.names == ["a.png"]
    np.testing.assert_array_equal(next(iter(images)), digits[1][3])


def test_what_is_no_archive_of_images_is_refused(digits, tmp_path, monkeypatch):
    """Each refusal says what is accepted and what was received."""
    (tmp_path / "text.zip").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"Expected a .zip file of images. Received: text.zip"):
        Archive(tmp_path / "text.zip", Decoding())
    with pytest.raises(ValueError, match=r"end with one of .*'.png'.* Received: none.zip with 1 other files"):
        Archive(zipped(tmp_path / "none.zip", {"notes.txt": b"text"}), Decoding())
    path = zipped(tmp_path / "many.zip", members(digits))
    monkeypatch.setattr(archive, "MOST_MEMBERS", 7)
    with pytest.raises(ValueError, match=r"may hold 7 files.* Received: many.zip with 8 files"):
        Archive(path, Decoding())
    monkeypatch.setattr(archive, "MOST_MEMBERS", 8)
    monkeypatch.setattr(archive, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match=r"100 bytes unpacked"):
        Archive(path, Decoding())


def test_a_batch_is_a_table_a_sentence_and_a_histogram(opened, digits, tmp_path):
    """The table is that of `keras-ood score`: a row for each image in order, an empty one where it could not be read."""
    table, seen = tmp_path / "scores.csv", []
    path = zipped(tmp_path / "images.zip", members(digits))
    words, figure = score_archive(opened, path, Rule(0.05), table, lambda done, count: seen.append((done, count)))
    with table.open(newline="") as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row[0] for row in rows[1:]] == NAMES
    score = opened.detector.score(digits[1][:1])[0]
    assert [float(row[1]) for row in rows[1:] if row[1]] == pytest.approx([score] * 6, rel=1e-4)
    assert rows[3][1:] == ["", "", ""]
    assert "**0 of 6** images are out-of-distribution at a false positive rate of 5 %" in words
    assert "an empty row each: 1." in words
    assert "no image files by name: 1." in words
    assert seen == [(0, 7)]
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["in-distribution", "zip", "threshold"]


def test_a_batch_of_broken_images_has_no_histogram(opened, tmp_path):
    """Rows and sentence stay."""
    path = zipped(tmp_path / "images.zip", {"a.png": b"no image"})
    words, figure = score_archive(opened, path, Rule(0.05), tmp_path / "scores.csv", lambda done, count: None)
    assert figure is None
    assert "**0 of 0**" in words
    assert (tmp_path / "scores.csv").read_text() == ",".join(COLUMNS) + "\na.png,,,\n"


def test_the_command_hands_its_options_on(monkeypatch):
    """Model and images build the page; host, port, share and browser serve it."""
    seen = {}

    class Page:
        def launch(self, **options):
            seen.update(options)

    monkeypatch.setattr("keras_ood.app.build", lambda *arguments: seen.update(arguments=arguments) or Page())
    options = [
        "--images",
        "folder",
        "--images",
        "x",
        "--unreadable",
        "skip",
        "--background",
        "black",
        "--value-range",
        "0",
        "9",
    ]
    result = CliRunner().invoke(app, ["app", "mine", *options, "--port", "7999", "--host", "0.0.0.0"])
    assert result.exit_code == 0, result.output
    expected = {"server_name": "0.0.0.0", "server_port": 7999, "share": False, "inbrowser": False}
    arguments = ("mine", ["folder", "x"], "skip", Decoding((0, 0, 0), (0, 9)))
    assert seen == {"arguments": arguments} | expected


def test_gradio_is_asked_for_by_name(monkeypatch):
    """Without Gradio: one line with the command that installs it."""
    monkeypatch.setitem(sys.modules, "gradio", None)
    result = CliRunner().invoke(app, ["app"])
    assert result.exit_code == 1
    assert "pip install 'keras-ood[app]'" in result.output


def test_the_space_says_what_it_runs():
    """The Space's header names the SDK, a version that the extra `app` allows, and files that are there."""
    text = (ROOT / "spaces" / "README.md").read_text()
    header = dict(line.split(": ", 1) for line in text.split("---\n")[1].splitlines())
    assert (header["sdk"], header["license"]) == ("gradio", "apache-2.0")
    assert (ROOT / "spaces" / header["app_file"]).is_file()
    assert len(header["short_description"]) <= 60
    gradio = Requirement(re.search(r'^app = \["(gradio.*?)"\]', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1])
    assert gradio.specifier.contains(header["sdk_version"])
    assert (ROOT / "spaces" / "requirements.txt").read_text().split() == ["keras-ood[app]"]
