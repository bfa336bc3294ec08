"""The app in a browser: the Space's own file served in a process of its own, used as a visitor would."""

import csv
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

import keras_ood
from keras_ood.tables.score_table import COLUMNS

pytestmark = [pytest.mark.once, pytest.mark.slow]
SPACE = Path(__file__).parents[2] / "spaces" / "app.py"
SECONDS = 120  # a first verdict waits for compilation


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where the Space's `app.py` serves, told so by Gradio's environment variables."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("served")
    settings = {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": str(folder / "uploads")}
    settings |= {"KERAS_BACKEND": "tensorflow", "KERAS_OOD_EMBEDDINGS": str(folder / "embeddings")}
    log = folder / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, str(SPACE)], env=os.environ | settings, stdout=output, stderr=output)
    try:
        yield _wait_for(f"http://127.0.0.1:{port}/", process, log)
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(address, process, log):
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address):
                return address
        except OSError:
            time.sleep(0.2)
    return pytest.fail(f"the app does not serve:\n{log.read_text()}")


def test_the_space_serves_the_page(address):
    """The page names itself, offers the presets, sends no statistics, and keeps its events to itself."""
    with urllib.request.urlopen(f"{address}config") as answer:
        config = json.load(answer)
    assert config["title"] == "keras_ood"
    assert config["analytics_enabled"] is False
    labels = {component["props"].get("label"): component["props"] for component in config["components"]}
    assert ["tilted-vae-digits"] * 2 in labels["Detector"]["choices"]
    assert labels["Rate"]["minimum"] == 0.005
    assert {event["api_visibility"] for event in config["dependencies"]} == {"private"}


@pytest.fixture
def browser(chromium, address):
    """A fresh page whose parts are all there: what is clicked or dropped before is lost."""
    from selenium.webdriver.support.wait import WebDriverWait

    chromium.get(address)
    element(chromium, "#examples button img")
    WebDriverWait(chromium, SECONDS).until(lambda driver: driver.execute_script("return document.readyState") == "complete")
    return chromium


def element(browser, selector):
    """The element that a CSS selector names, once it is there."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, SECONDS).until(lambda driver: driver.find_element(By.CSS_SELECTOR, selector), selector)


def text_with(browser, selector, pattern):
    """The text of an element, once it matches a pattern."""
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.wait import WebDriverWait

    def found(_):
        text = element(browser, selector).text
        return re.search(pattern, text, re.DOTALL) and text

    waiting = WebDriverWait(browser, SECONDS, ignored_exceptions=[StaleElementReferenceException])
    return waiting.until(found, f"{selector} has no text like {pattern!r}")


def upload(browser, selector, *paths):
    """Give files to an upload field, and wait until it names them."""
    element(browser, f"{selector} input[type=file]").send_keys("\n".join(map(str, paths)))
    text_with(browser, selector, re.escape(Path(paths[-1]).stem))


def drop(browser, selector, path):
    """Drop a file or folder of this machine on an element."""
    place = element(browser, selector).rect
    where = {"x": place["x"] + place["width"] / 2, "y": place["y"] + place["height"] / 2}
    for kind in ("dragEnter", "dragOver", "drop"):
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        browser.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, **where, "data": data})


def test_a_visitor_judges_images(browser, digits, pretrained, tmp_path):
    """A digit and a broken file: score, p-value and verdict of one, a line and a sentence on the other; then an example."""
    Image.fromarray(digits[1][0, ..., 0]).save(tmp_path / "digit.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    upload(browser, "#files", tmp_path / "broken.png", tmp_path / "digit.png")
    score = pretrained.score(digits[1][:1])
    shown = text_with(browser, "#verdicts", "digit.png.*distribution")
    assert f"{score[0]:.4g}" in shown
    assert f"{pretrained.calibration().p_values(score)[0]:.3g}" in shown
    assert re.search("broken.png\\s+cannot be read", shown)
    assert re.search("digit.png.*\\sin-distribution", shown, re.DOTALL)
    assert "broken.png cannot be read as an image" in element(browser, "#summary").text
    assert "Image 2." in text_with(browser, "#caption", "nearest of 360")
    assert element(browser, "#picture img").is_displayed()

    element(browser, "#files button[aria-label=Clear]").click()
    text_with(browser, "#summary", "click an example")
    element(browser, "#examples button[aria-label='Thumbnail 7 of 7']").click()
    assert "out-of-distribution" in text_with(browser, "#verdicts", "noise.png.*distribution")
    assert "of this one, of 200 images, at most 7.8 % with 95 % confidence" in element(browser, "#about").text
    element(browser, "#held input[value='false discoveries']").click()
    text_with(browser, "#summary", "1 of 1 images are out-of-distribution at a false discovery rate of 5 %")
    text_with(browser, "#about", "Of the images that are flagged at most 5 % are in-distribution")

    requested = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [message["params"]["request"]["url"] for message in requested if message["method"] == "Network.requestWillBeSent"]
    assert {urlsplit(url).hostname for url in urls if url.startswith("http")} == {"127.0.0.1"}


def test_a_visitor_scores_an_archive(browser, digits, pretrained, tmp_path):
    """What is no archive is one message, and the app goes on: the table has the detector's scores, the picture shows them."""
    element(browser, "button[role=tab][aria-selected=false]").click()
    (tmp_path / "broken.zip").write_bytes(b"no archive")
    upload(browser, "#archive", tmp_path / "broken.zip")
    text_with(browser, "#archive", r"broken\s*\.zip")
    element(browser, "#start").click()
    assert "Received: broken.zip" in text_with(browser, ".toast-body", "Expected a .zip file of images")

    images = np.concatenate([digits[1][:40], 255 - digits[1][:2]])
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for index, image in enumerate(images):
            stream = io.BytesIO()
            Image.fromarray(image[..., 0]).save(stream, "PNG")
            archive.writestr(f"folder/{index}.png", stream.getvalue())
        archive.writestr("folder/broken.png", b"no image")
    element(browser, "#archive button[aria-label=Clear]").click()
    upload(browser, "#archive", tmp_path / "images.zip")
    text_with(browser, "#archive", r"images\s*\.zip")
    element(browser, "#start").click()
    flags = pretrained.detect(images)
    assert f"{flags.sum()} of 42 images" in text_with(browser, "#batch-summary", "an empty row each: 1")
    assert element(browser, "#histogram img").is_displayed()
    with urllib.request.urlopen(element(browser, "#scores a[download]").get_attribute("href")) as answer:
        rows = list(csv.reader(io.TextIOWrapper(answer, "utf-8", newline="")))
    assert tuple(rows[0]) == COLUMNS
    np.testing.assert_allclose([float(row[1]) for row in rows[1:-1]], pretrained.score(images), rtol=1e-4)
    assert [row[3] for row in rows[1:-1]] == [str(flag) for flag in flags]
    assert rows[-1] == ["folder/broken.png", "", "", ""]


def test_another_detector_takes_the_controls_along(browser, digits, tmp_path):
    """Its least false positive rate is its own; images at hand are judged anew."""
    Image.fromarray(digits[1][0, ..., 0]).save(tmp_path / "digit.png")
    upload(browser, "#files", tmp_path / "digit.png")
    assert " in-distribution" in text_with(browser, "#verdicts", "digit.png.*distribution").replace("\n", " ")
    field = element(browser, "input[aria-label=Detector]")
    field.click()
    element(browser, "ul[role=listbox] li[aria-label=gaussian-vae-fashion-mnist-pixels]").click()
    text_with(browser, "#verdicts", "out-of-distribution")
    assert element(browser, "#rate input[type=range]").get_attribute("min") == "0.001"
    text_with(browser, "#caption", "32 x 32 pixels in grey")


def test_a_visitor_makes_a_detector(browser, digits, tmp_path):
    """A folder that is dropped is its files; an archive becomes a detector, chosen at once, the same one that is downloaded."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for index in range(32):
        image = Image.fromarray(digits[1][index, ..., 0]).resize((24 + index, 24))
        image.save(folder / f"{index:02}.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(tmp_path / "noise.png")
    archive = shutil.make_archive(str(tmp_path / "my digits"), "zip", folder)
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("broken.png", b"no image")

    tabs = browser.find_elements("css selector", "button[role=tab]")
    tabs[2].click()
    element(browser, "#own-start").click()
    assert "Received: 0." in text_with(browser, ".toast-body", "Expected 30 to 2,000 different images")
    element(browser, ".toast-body button").click()

    drop(browser, "#own-images", folder)
    for name in ("00", "31"):  # in whatever order the folder gives them
        text_with(browser, "#own-images", rf"{name}\s*\.png")
    element(browser, "#own-images button[aria-label=Clear]").click()
    upload(browser, "#own-images", archive)
    text_with(browser, "#own-images", r"my digits\s*\.zip")
    element(browser, "#own-start").click()
    text_with(browser, "#own-words", r"[A-Z].+ - \d+\.\d%")
    words = text_with(browser, "#own-words", "is chosen at the top")
    assert "fitted to 32 images, calibrated on 32" in words
    assert "left out: broken.png (" in words
    text_with(browser, "body", "In-distribution for it: my digits")
    assert element(browser, "input[aria-label=Detector]").get_attribute("value") == "my digits (yours)"

    with urllib.request.urlopen(element(browser, "#own-download a[download]").get_attribute("href")) as answer:
        (tmp_path / "made.zip").write_bytes(answer.read())
    shutil.unpack_archive(tmp_path / "made.zip", tmp_path / "made")
    detector = keras_ood.from_pretrained(tmp_path / "made" / "my-digits")
    tabs[0].click()
    upload(browser, "#files", tmp_path / "noise.png")
    shown = text_with(browser, "#verdicts", "noise.png.*out-of-distribution")
    assert f"{detector.score(tmp_path / 'noise.png')[0]:.4g}" in shown
    text_with(browser, "#caption", r"nearest of 32 in-distribution images \(images of my-digits\)")
