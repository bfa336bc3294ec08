"""A detector of a visitor's own images, without a browser: from a folder or an archive, its words, its files, its privacy."""

import asyncio
import functools
import re
import shutil
import zipfile
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from gradio.route_utils import delete_files_created_by_app
from gradio.state_holder import SessionState
from PIL import Image

import keras_ood
from keras_ood.app import build, own_detector, uploads
from keras_ood.app.explanation import explain
from keras_ood.encoders import FrozenEncoder
from keras_ood.hub import preset
from keras_ood.images import Decoding, ImageWarning
from keras_ood.images.preprocessing import Preprocessing
from keras_ood.training.start import ENCODER

pytestmark = [pytest.mark.once, pytest.mark.slow]
SMALL = FrozenEncoder(ENCODER, (32, 32, 3))
READABLE = 34


@pytest.fixture(autouse=True)
def embeddings(monkeypatch, tmp_path):
    """The folder that embeddings are kept in, which does not come to be; and the encoder at a small size."""
    monkeypatch.setenv("KERAS_OOD_EMBEDDINGS", str(tmp_path / "embeddings"))
    monkeypatch.setattr(own_detector, "as_encoder", lambda name: SMALL)
    return tmp_path / "embeddings"


@pytest.fixture(scope="module")
def photos(digits, tmp_path_factory):
    """A folder with images of several sizes in sub-folders, one of them twice, and what is left out."""
    folder = tmp_path_factory.mktemp("photos")
    for index in range(READABLE):
        image = Image.fromarray(digits[0][index % (READABLE - 1), ..., 0])
        (folder / str(index % 2)).mkdir(exist_ok=True)
        image.resize((16 + index % (READABLE - 1), 20)).save(folder / str(index % 2) / f"{index:02}.png")
    (folder / "1" / "broken <i>.jpg").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def archive(photos, tmp_path_factory):
    """The folder as a .zip file."""
    return shutil.make_archive(str(tmp_path_factory.mktemp("sent") / "my digits"), "zip", photos)


def make(paths, folder, title="", report=lambda stage, done, total: None):
    """Make a detector as the tab does; return its folder and the words on it."""
    title = own_detector.title_of(title, paths)
    folder = folder / "made" / own_detector.folder_name(title)
    folder.parent.mkdir()
    return folder, own_detector.make(paths, title, "crop", Decoding(frames="first"), folder, report)


@pytest.fixture(scope="module")
def made(archive, tmp_path_factory):
    """A detector made of the archive: its folder, the words on it, and what was reported meanwhile."""
    reports, folder = [], tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_detector, "as_encoder", lambda name: SMALL)
        with pytest.warns(ImageWarning, match="Skipped"):
            folder, words = make([archive], folder, report=lambda *report: reports.append(report))
    return folder, words, reports


def test_an_archive_becomes_the_detector_that_finetune_makes(made, photos, digits, tmp_path):
    """Same scores, same calibration; the .zip file unpacks to a preset, and nothing else is left."""
    folder, _, _ = made
    assert sorted(path.name for path in folder.parent.iterdir()) == ["my-digits", "my-digits.npy", "my-digits.zip"]
    shutil.unpack_archive(folder.with_suffix(".zip"), tmp_path)
    loaded = keras_ood.from_pretrained(tmp_path / "my-digits")
    images = keras_ood.images.ImageFiles(sorted(photos.rglob("[0-9]*.png")))
    wanted = keras_ood.finetune(SMALL, images, tmp_path / "wanted", aspect="crop", verbose=0)
    np.testing.assert_allclose(loaded.score(digits[1][:20]), wanted.score(digits[1][:20]), rtol=1e-4)
    np.testing.assert_allclose(loaded.calibration().scores, wanted.calibration().scores, rtol=1e-4)


def test_what_was_made_is_said(made):
    """Title, family, numbers of images, memory, false alarms, AUROC; the broken file and the other one, escaped."""
    folder, words, _ = made
    content = preset.read(folder)
    alarms = content["false_positive_rate"]
    assert content["in_distribution"]["title"] == "my digits"
    for part in (
        "<b>my digits</b> is chosen",
        f"A FeatureMixture over EfficientNet-Lite0, fitted to {READABLE - 1} images",
        f"{content['choice']['memory']} centre",
        "1 left out that were there before",
        f"{100 * alarms['measured']:.1f} % of {READABLE - 1} images that it had not seen, 5 % promised",
        f"inverted {content['auroc']['inverted']:.3f}",
        "Could not be read, left out: 1/broken &lt;i&gt;.jpg (",
        "no image files by name: 1.",
        "keras-ood app my-digits",
    ):
        assert part in words
    assert str(folder.parent) not in words


def test_progress_is_told(made):
    """Every image that is read, then stages in words."""
    reports = made[2]
    read = [report for report in reports if report[0] == "Reading"]
    assert read == [("Reading", 0, None), *(("Reading", done + 1, READABLE + 1) for done in range(READABLE))]
    stages = list(dict.fromkeys(stage for stage, _, _ in reports))
    assert stages[:3] == ["Reading", "Embedding the images", "Choosing the number of centres: 1"]
    for stage in ("Fitting", "Measuring on noise images", "Counting false alarms, part 5 of 5", "Saving"):
        assert stage in stages


def test_it_is_used_at_once_and_leaves_nothing_elsewhere(made, embeddings):
    """Its own images are the in-distribution ones, an image of them is its own nearest; no embeddings on disk."""
    session = own_detector.session(str(made[0]), Decoding(frames="first"))
    assert session.name == "my-digits"
    assert session.inside.shape == (READABLE, 32, 32, 3)
    words = explain(session, np.uint8(255 * session.inside[3])).words
    assert f"nearest of {READABLE} in-distribution images (images of my-digits)" in words
    nearest = session.neighbours.nearest(session.detector.features(session.inside[3:4]), 1)
    np.testing.assert_array_equal(nearest[0], session.inside[3])
    shutil.rmtree(embeddings)  # of `features`, here
    explain(session, np.uint8(255 * session.inside[4]))
    assert not embeddings.exists()


def test_files_are_taken_as_an_archive_is(photos, archive, tmp_path):
    """The same images in the same order, whoever sorts them; hidden files are not mentioned, folders of the server neither."""
    paths = [str(path) for path in photos.rglob("*") if path.is_file()]
    shown = sorted(paths, key=lambda path: Path(path).name, reverse=True)
    (tmp_path / "one").mkdir()
    for path in paths:
        shutil.copy(path, tmp_path / "one")
    flat = shutil.make_archive(str(tmp_path / "flat"), "zip", tmp_path / "one")
    found = []
    for sent in (shown, [flat]):
        with pytest.warns(ImageWarning, match="Skipped"):
            found.append(uploads.read(sent, Decoding(frames="first"), Preprocessing((32, 32, 3), "pad"), tmp_path))
    assert found[0].images.shape == (READABLE, 32, 32, 3)
    np.testing.assert_array_equal(found[0].images, found[1].images)
    for _, words in found:
        assert words.startswith("Could not be read, left out: broken &lt;i&gt;.jpg (")
        assert words.endswith("Left out, no image files by name: 1.")
        assert str(photos) not in words
        assert str(tmp_path) not in words


def test_a_title_names_the_folder():
    """What was typed, else the archive's name; of any characters."""
    assert own_detector.title_of(" Ziffern,\n<b>", ["x.zip"]) == "Ziffern, <b>"
    assert own_detector.title_of("", ["/tmp/my digits.ZIP"]) == "my digits"
    assert own_detector.title_of(" ", ["a.png", "b.png"]) == "my images"
    assert len(own_detector.title_of("x" * 99, [])) == own_detector.LONGEST_TITLE
    assert own_detector.folder_name("../Ziffern <b>groß") == "Ziffern-b-groß"


def test_many_images_are_trained_on(digits, tmp_path, monkeypatch):
    """Then epochs are told, and how many there were."""
    monkeypatch.setattr("keras_ood.training.finetune.FEW", 100)
    for index, image in enumerate(digits[0][:110]):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{index}.png")
    stages = []
    paths = [str(path) for path in tmp_path.iterdir()]
    folder, words = make(paths, tmp_path, report=lambda stage, done, total: stages.append(stage))
    epochs = preset.read(folder)["training"]["epochs"]
    assert "<b>my images</b> is chosen" in words
    assert f"A TiltedVAE over EfficientNet-Lite0, fitted to 30 images, calibrated on 40: trained for {epochs} epochs" in words
    assert f"Training, epoch {epochs} of at most 30" in stages
    assert f"Training, epoch {epochs + 1} of at most 30" not in stages


def zipped(path, members):
    """A .zip file of `{name: bytes}`."""
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return str(path)


@pytest.mark.filterwarnings("ignore:Skipped an unreadable image")
def test_what_no_detector_can_be_made_of_is_said(photos, archive, tmp_path, monkeypatch):
    """Each message says what is accepted and what came; the folder that was begun is gone."""
    accepted = r"Expected 30 to 2,000 different images that can be read, or a .zip file of them.*'.png'"
    images = [str(path) for path in photos.rglob("[0-9]*.png")]
    cases = {
        rf"{accepted}.*Received: 0\.": [],
        rf"{accepted}.*Received: 3\.": images[:3],
        rf"{accepted}.*Received: 0\. Left out, no image files by name: 1\.": [str(photos / "notes.txt")],
        r"one .zip file, or images. Received: 1 .zip files among 2 files": [archive, images[0]],
        r"deleted after an hour; drop them again. Received: 0.png, 1.png": [f"/nowhere/{index}.png" for index in range(40)],
        r"end with one of .*'.png'.* Received: none.zip with 1 other": [zipped(tmp_path / "none.zip", {"a.txt": b"text"})],
        r"Expected a .zip file of images. Received: torn.zip": [str(tmp_path / "torn.zip")],
        rf"{accepted}.*Received: 0\. Could not be read, left out: 0.png .*; 12.png \(.*\) and 35 more\.": [
            zipped(tmp_path / "broken.zip", {f"{index}.png": b"no image" for index in range(40)})
        ],
    }
    (tmp_path / "torn.zip").write_bytes(b"no archive")
    for message, paths in cases.items():
        with pytest.raises(ValueError, match=message):
            make(paths, tmp_path)
        assert not (tmp_path / "made").exists()
    monkeypatch.setattr(uploads, "MOST_IMAGES", 31)
    with pytest.raises(
        ValueError, match=r"Expected 30 to 31 different images.*`keras-ood finetune` takes more. Received: 35\."
    ):
        make([archive], tmp_path)
    monkeypatch.setattr("keras_ood.app.archive.MOST_BYTES", 100)
    with pytest.raises(ValueError, match=r"may hold 20,000 files and 100 bytes unpacked.* Received: my digits.zip"):
        make([archive], tmp_path)


def in_a_loop(test):
    """Run a test in an event loop, as Gradio asks: without one it makes some and leaves them open."""

    @functools.wraps(test)
    def run(**fixtures):
        asyncio.run(test(**fixtures))

    return run


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """The folder of the page's files."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


async def ask(page, visitor, name, inputs):
    """What one of the page's functions answers a visitor."""
    function = next(function for function in page.fns.values() if function.name == name)
    given = [inputs.get(component._id) for component in function.inputs]
    return (await page.process_api(function, given, state=visitor))["data"]


def component(page, **wanted):
    """The component of the page with these properties."""
    return next(
        block for block in page.blocks.values() if all(getattr(block, name, None) == value for name, value in wanted.items())
    )


@in_a_loop
async def test_a_detector_is_its_visitors_alone(made, monkeypatch, cache):
    """Who made it may choose it, under its label; who knows where it lies may not, nor any path; then it is deleted."""

    def copy(paths, title, aspect, decoding, folder, report):
        shutil.copytree(made[0].parent, folder.parent, dirs_exist_ok=True)
        return f"made of {paths}"

    monkeypatch.setattr(own_detector, "make", copy)
    monkeypatch.setattr(own_detector, "folder_name", lambda title: "my-digits")
    page = build()
    name, title = component(page, label="Detector"), component(page, label="What they are")
    visitor, stranger = SessionState(page), SessionState(page)
    given, choices = {title._id: "my digits", component(page, elem_id="own-aspect")._id: "crop"}, []
    for _ in range(2):
        words, download, offered, _ = await ask(page, visitor, "make", given)
        choices.append(offered["value"])
        assert words == "made of ()"
        assert Path(download["value"]["path"]) == Path(offered["value"]).with_suffix(".zip")
        assert [tuple(choice) for choice in offered["choices"]] == [("my digits (yours)", offered["value"]), *name.choices]
    chosen = {name._id: choices[1], component(page, elem_id="rate")._id: 0.05}
    about, rate = await ask(page, visitor, "choose", chosen)
    assert "In-distribution for it: <b>my digits</b>. It sees 32 x 32 pixels in colour" in about
    assert "In-distribution images flagged: at most 5 % on average." in about
    assert rate["minimum"] == pytest.approx(1 / READABLE, abs=1e-3)
    for path in (choices[1], str(made[0]), "tilted-vae-digits/../tilted-vae-digits"):
        with pytest.raises(gr.Error, match="not in the list of choices"):
            await ask(page, stranger, "choose", chosen | {name._id: path})
    delete_files_created_by_app(page, None)
    assert not any(path.is_file() for choice in choices for path in Path(choice).parent.rglob("*"))
    with pytest.raises(gr.Error, match=r"deleted an hour after it was made.*Received: my-digits"):
        await ask(page, visitor, "choose", chosen)


@in_a_loop
async def test_an_error_is_a_message_on_the_page(cache):
    """It is shown as text, and nothing stays."""
    page = build()
    given = {component(page, label="What they are")._id: "", component(page, elem_id="own-aspect")._id: "crop"}
    with pytest.raises(gr.Error, match=re.escape("Received: 0.")) as error:
        await ask(page, SessionState(page), "make", given)
    assert "&#x27;.png&#x27;" in str(error.value)
    assert not any(path.is_dir() and len(path.name) == 32 for path in cache.iterdir())
