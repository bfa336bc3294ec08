"""What MkDocs needs to know of this repository: pages from outside `docs/`, links between files.

A file of the site keeps its path in the repository, `docs/` apart: `zoo/<preset>/README.md` becomes the page `zoo/<preset>/`.
Links are written as they hold in the repository, and rewritten here.
"""

import logging
import posixpath
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CHANGELOG.md", "benchmark/README.md", "tutorials/*.ipynb", "zoo/*/README.md")
PICTURES = ("benchmark/*.png", "tutorials/*.png", "zoo/*/*.png")
PLACES = {"benchmark/index.html": "benchmark/numbers.html"}  # where the site has others

_LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[)#])")
_REFERENCE = re.compile(r'(?<=href="|.src=")([^"#:]+)(?=["#])')

log = logging.getLogger("mkdocs.hooks.docs")


@event_priority(100)  # before mkdocs-jupyter looks for notebooks
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside `docs/`, and put the files that match in the place of each pattern of the navigation."""
    for pattern in (*PAGES, *PICTURES, *PLACES):
        for path in ROOT.glob(pattern):
            place = path.relative_to(ROOT).as_posix()
            files.append(File(place, str(ROOT), config.site_dir, config.use_directory_urls, dest_uri=PLACES.get(place)))
    config.nav = _expand(config.nav, sorted(files.src_uris))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links."""
    markdown = markdown.replace(" ± ", "\u00a0±\u00a0")  # a number and its deviation stay together

    def rewritten(match: re.Match[str]) -> str:
        file = _target(match[0], page, files)  # where there is none, MkDocs warns
        return match[0] if file is None else posixpath.relpath(file.src_uri, posixpath.dirname(page.file.src_uri) or ".")

    return _LINK.sub(rewritten, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of notebooks, which MkDocs does not see: they are no Markdown."""
    if not page.file.src_uri.endswith(".ipynb"):
        return html

    def rewritten(match: re.Match[str]) -> str:
        file = _target(match[0], page, files)
        if file is None:
            log.warning("%s refers to %r, which is not part of the site", page.file.src_uri, match[0])
        return match[0] if file is None else file.url_relative_to(page.file)

    return _REFERENCE.sub(rewritten, html)


def _target(link: str, page: Page, files: Files) -> File | None:
    """The file that a relative link of a page's source means, None if the site has none."""
    folder = Path(str(page.file.abs_src_path)).parent.relative_to(ROOT).as_posix()
    return files.get_file_from_path(posixpath.normpath(posixpath.join(folder, link)).removeprefix("docs/"))


def _expand(nav: Any, paths: list[str]) -> Any:
    if isinstance(nav, dict):
        return {title: _expand(entry, paths) for title, entry in nav.items()}
    if not isinstance(nav, list):
        return nav
    entries = []
    for entry in nav:
        is_pattern = isinstance(entry, str) and "*" in entry
        entries += [path for path in paths if fnmatch(path, entry)] if is_pattern else [_expand(entry, paths)]
    return entries
