"""The documentation says what is so: links lead somewhere, names and commands exist, examples run."""

import importlib
import re
import shlex
import textwrap
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

import keras_ood
from keras_ood import scores
from keras_ood.cli.main import app

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
}
PACKAGES = ("images", "datasets", "distributions", "bijectors", "encoders", "attention", "scores", "models")

NOT_RUN = {
    "keras-ood app": "serves until it is stopped: tests/app",
    "--follow": "watches until it is stopped: tests/cli/test_monitor.py",
    "s3://": "a cluster and its storage: tests/test_ray.py",
    "keras-ood train": "trains for minutes, into the zoo: tests/training/test_from_recipe.py",
    "keras-ood finetune": "makes once more what the README's Python makes: tests/cli/test_finetune.py",
    "precision=": "further conversions: tests/export",
    "openvino": "runs one of these: tests/export",
    "-completion": "is about the shell that runs it: tests/cli/test_completion.py",
    "set_distribution": "several devices, of JAX: tests/backend/test_devices.py",
}
"""What stands in a command or a Python block that is not run, and why; with the tests of what it shows."""

PICTURES = {
    "my_photos": 40,
    "new_photos": 6,
    "my_images": 40,
    "held_out/morning": 40,
    "held_out/evening": 40,
    "photos/morning": 4,
    "photos/evening": 4,
    "scans": 4,
    "camera/monday": 8,
    "camera/tuesday": 8,
    "usual_frames": 200,
    "mvtec/bottle/train/good": 4,
    "mvtec/bottle/test/good": 4,
    "mvtec/bottle/test/broken": 4,
}
"""The folders that pages name, and how many pictures are in each."""

_FENCE = re.compile(r'^( *)```(\w+)(?: title="([^"]+)")?[^\n]*\n(.*?)^\1```', re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)\s#]+)")
_NAME = re.compile(r"\bkeras_ood(?:\.[A-Za-z_]\w*)+")
_INLINE = re.compile(r"`(keras-ood [^`]+)`")


def blocks(page: str, *languages: str) -> list[tuple[str, str, str]]:
    """The `(language, title, code)` of a page's fenced blocks of some languages, in order."""
    found = _FENCE.findall(PAGES[page])
    return [(language, title, textwrap.dedent(code)) for _, language, title, code in found if language in languages]


def commands(code: str) -> list[str]:
    """The lines of a bash block that run `keras-ood`."""
    lines = code.replace("\\\n", " ").splitlines()
    return [line for line in lines if "keras-ood " in line.split("#")[0]]


def program(page: str) -> list[tuple[str, str, str]]:
    """What of a page is run, in order: Python blocks and single commands, each as `(language, title, code)`."""
    parts = []
    for language, title, code in blocks(page, "python", "bash"):
        parts += [(language, title, part) for part in (commands(code) if language == "bash" else [code])]
    return [part for part in parts if not any(mark in part[2] for mark in NOT_RUN)]


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_lead_to_files(page):
    """A link holds in the repository; `mkdocs build --strict` checks the same links, and anchors, in the site."""
    text = _FENCE.sub("", PAGES[page])
    missing = [link for link in _LINK.findall(text) if not (ROOT / page).parent.joinpath(link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_names_can_be_imported(page):
    """Every dotted name of the package that a page mentions is there."""
    for name in sorted(set(_NAME.findall(PAGES[page]))):
        assert resolve(name) is not None, name


def resolve(name: str) -> object:
    """What a dotted name stands for: a module, or an attribute of the deepest module on its way."""
    parts = name.split(".")
    found = keras_ood
    for count, part in enumerate(parts[1:], start=2):
        if not hasattr(found, part):
            importlib.import_module(".".join(parts[:count]))
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_options_exist(page):
    """Every `keras-ood` command that a page shows is one of the app's, and so are its options."""
    command = get_command(app)
    lines = [line for _, _, code in blocks(page, "bash") for line in commands(code)]
    shown = [line[line.index("keras-ood ") :] for line in lines]
    for line in shown + _INLINE.findall(PAGES[page]):
        words = shlex.split(line, comments=True)[1:]
        target = command.commands.get(words[0]) if not words[0].startswith("-") else command
        assert target is not None, line
        known = {option for parameter in target.params for option in (*parameter.opts, *parameter.secondary_opts)}
        used = {word.split("=")[0] for word in words if re.match(r"--?[A-Za-z]", word)}
        assert used <= known | {"--help", "-h"}, line


@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_compile(page):
    """No Python block has a syntax error."""
    for _, title, code in blocks(page, "python"):
        compile(code, title or page, "exec")


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """The working folder, with the pictures that pages name: bands of colour, and one with a spot in `broken`."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    bands = np.linspace(0, 1, 24)[:, None, None]
    for name, count in PICTURES.items():
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for index in range(count):
            colours = bands * random.uniform(50, 200, 3) + random.normal(0, 20, (24, 20, 3))
            Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8)).save(folder / f"{index:03}.png")
    masks = tmp_path / "mvtec" / "bottle" / "ground_truth" / "broken"
    masks.mkdir(parents=True)
    mask = np.zeros((24, 20), np.uint8)
    mask[4:9, 4:9] = 255
    for index in range(PICTURES["mvtec/bottle/test/broken"]):
        Image.fromarray(mask).save(masks / f"{index:03}_mask.png")


@pytest.mark.parametrize("page", [page for page in PAGES if program(page)])
def test_a_page_runs(page, pictures, hub, monkeypatch):
    """A page is one program: Python blocks and commands run in order; a block with a title is a file that others import."""
    for folder in (".", ROOT / "runtime"):
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(scores, "_CATALOGUE", dict(scores._CATALOGUE))  # what a page registers stays on that page
    names: dict[str, object] = {}
    for language, title, code in program(page):
        if language == "bash":
            run(code)
        elif title:
            Path(title).write_text(code)
        else:
            exec(compile(code, page, "exec"), names)


def run(line: str) -> None:
    """Run a line's commands, each with the output of the one before, up to one that is another program's."""
    shown = ""
    for is_bar, words in groupby(shlex.split(line, comments=True), "|".__eq__):
        program, *arguments = words
        if is_bar or program != "keras-ood":
            continue
        result = CliRunner().invoke(app, arguments, input=shown)
        assert result.exit_code in ({0, 3} if "--fail-on-alarm" in arguments else {0}), f"{line}\n{result.output}"
        shown = result.stdout


def test_what_is_not_run_is_there():
    """No reason without anything that it holds for."""
    shown = [code for page in PAGES for _, _, code in blocks(page, "python", "bash")]
    assert all(any(mark in code for code in shown) for mark in NOT_RUN)


def test_the_reference_holds_every_public_name():
    """What a package exports has an entry in docs/api, each score under the name that callers write."""
    reference = "".join(text for page, text in PAGES.items() if page.startswith("docs/api/"))
    for package in (keras_ood, *(getattr(keras_ood, name) for name in PACKAGES)):
        for name in package.__all__:
            assert re.search(rf"\b{name}\b", reference), f"{package.__name__}.{name}"
    for name in scores.names():
        score = type(scores.get(name))
        assert f"::: {score.__module__}.{score.__qualname__}\n    options: {{ heading: {name}, toc_label: {name}," in reference
