"""The documentation says what is so: links lead somewhere, names and commands exist, examples run."""

import importlib
import re
import shlex
import textwrap
from pathlib import Path

import pytest
from typer.main import get_command

import keras_ood
from keras_ood import scores
from keras_ood.cli.main import app

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
PAGES = {path.relative_to(ROOT / "docs").as_posix(): path.read_text() for path in sorted((ROOT / "docs").rglob("*.md"))}
# Pages whose Python blocks follow each other as one program.
RUN = ("index.md", "concepts.md", "decisions.md", "zoo.md", "extending.md")
PACKAGES = ("images", "datasets", "distributions", "bijectors", "encoders", "attention", "scores", "models")

_FENCE = re.compile(r'^( *)```(\w+)(?: title="([^"]+)")?[^\n]*\n(.*?)^\1```', re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)\s#]+)")
_NAME = re.compile(r"\bkeras_ood(?:\.[A-Za-z_]\w*)+")
_INLINE = re.compile(r"`(keras-ood [^`]+)`")


def blocks(page: str, language: str) -> list[tuple[str, str]]:
    """The `(title, code)` of a page's fenced blocks of one language."""
    return [(title, textwrap.dedent(code)) for _, found, title, code in _FENCE.findall(PAGES[page]) if found == language]


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_lead_to_files(page):
    """A link holds in the repository; `mkdocs build --strict` checks the same links, and anchors, in the site."""
    text = _FENCE.sub("", PAGES[page])
    missing = [link for link in _LINK.findall(text) if not (ROOT / "docs" / page).parent.joinpath(link).exists()]
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
    lines = [line for _, code in blocks(page, "bash") for line in code.replace("\\\n", " ").splitlines()]
    shown = [line[line.index("keras-ood ") :] for line in lines if "keras-ood " in line.split("#")[0]]
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
    for title, code in blocks(page, "python"):
        compile(code, title or page, "exec")


@pytest.mark.parametrize("page", RUN)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    """The blocks of a page run one after the other; one with a title is a file that the others import."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(scores, "_CATALOGUE", dict(scores._CATALOGUE))  # what a page registers stays on that page
    names: dict[str, object] = {}
    for title, code in blocks(page, "python"):
        if title:
            Path(title).write_text(code)
        else:
            exec(compile(code, page, "exec"), names)


def test_the_reference_holds_every_public_name():
    """What a package exports has an entry in docs/api, each score under the name that callers write."""
    reference = "".join(text for page, text in PAGES.items() if page.startswith("api/"))
    for package in (keras_ood, *(getattr(keras_ood, name) for name in PACKAGES)):
        for name in package.__all__:
            assert re.search(rf"\b{name}\b", reference), f"{package.__name__}.{name}"
    for name in scores.names():
        score = type(scores.get(name))
        assert f"::: {score.__module__}.{score.__qualname__}\n    options: {{ heading: {name}, toc_label: {name}," in reference
