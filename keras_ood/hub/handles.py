"""From what a caller writes to a preset folder."""

import fnmatch
import os
import re
from pathlib import Path
from typing import Any

from keras_ood.hub import manifest, preset, renamed
from keras_ood.terminal.names import did_you_mean

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_SOURCES = (None, "embedded", "hub")


def zoo_folder() -> Path:
    """Return the folder of the embedded presets: inside the installed package, or at the root of a checkout."""
    package = Path(__file__).parents[1]
    embedded = package / "zoo"
    return embedded if embedded.is_dir() else package.parent / "zoo"


def embedded(name: str) -> bool:
    """Return whether the package holds a preset of that name itself."""
    return (zoo_folder() / name / preset.PRESET).is_file()


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of the zoo's presets that match a wildcard pattern, in natural order.

    Examples:
        >>> list_models("*digits*")
        ['tilted-vae-digits']
    """
    return sorted(fnmatch.filter(manifest.entries(), pattern), key=_natural)


def resolve(handle: str | os.PathLike[str], *, revision: str | None = None, source: str | None = None, **download: Any) -> Path:
    """Return the preset folder that a handle names, downloaded if need be.

    Args:
        handle: A zoo name such as `"tilted-vae-digits"`, the path of a preset folder, or a model repository of the Hugging
            Face Hub, `"user/repo"` or `"hf://user/repo@revision"`. A folder that exists comes before a repository.
        revision: Branch, tag or commit on the Hub; None for the zoo's pinned commit, or a repository's default branch.
        source: Source of a zoo name: `"embedded"` in the package, `"hub"`; None for the package where it holds it.
        **download: `cache_dir`, `local_files_only` and `token`, as in huggingface_hub.

    Raises:
        ValueError: None of these; the error lists close names, or says what an old name is now. A nearly right name never loads
            other weights.
        PresetError: A file differs from its digest.
        OSError: The Hub or the cache does not give the preset.
    """
    if source not in _SOURCES:
        raise ValueError(f"`source` is one of {_SOURCES}. Received: {source!r}")
    name = os.fspath(handle)
    entry = manifest.entries().get(name)
    if entry is not None:
        if revision is None and source != "hub" and embedded(name):
            preset.verify_digest(zoo_folder() / name, entry.preset_sha256)
            return zoo_folder() / name
        if source == "embedded" or entry.repo_id is None or (revision or entry.revision) is None:
            places = ["the package"] * embedded(name) + [str(entry.repo_id)] * (entry.revision is not None)
            raise ValueError(f"{name!r} is in {' and '.join(places) or 'no place'}. Received: {revision=}, {source=}")
        digest = entry.preset_sha256 if revision is None else None
        return _pull(entry.repo_id, revision or entry.revision, preset_sha256=digest, **download)
    local = bool(name) and Path(name).is_dir()
    if not local:
        renamed.refuse(name)
    if source is not None:
        raise ValueError(f"`source` goes with a zoo name ({', '.join(list_models())}). Received: {name!r}, {source=}")
    if local:
        if revision is not None:
            raise ValueError(f"A folder has no revisions. Received: {name!r}, {revision=}")
        return Path(name)
    repository, named = parse_repository(name)
    if named is not None and revision is not None:
        raise ValueError(f"The revision belongs in the handle or beside it, not both. Received: {name!r}, {revision=}")
    return _pull(repository, revision or named, **download)


def _pull(*arguments: Any, **options: Any) -> Path:
    from keras_ood.hub.pull import pull  # imports the Hub's client, which nothing else of a local preset needs

    return pull(*arguments, **options)


def find(name: str) -> tuple[Path | None, str]:
    """Return the folder of a zoo preset where it is on this machine, and in a word where that is."""
    if embedded(name):
        return zoo_folder() / name, "embedded"
    from huggingface_hub import try_to_load_from_cache

    entry = manifest.entries()[name]
    cached = try_to_load_from_cache(entry.repo_id, preset.PRESET, revision=entry.revision) if entry.repo_id else None
    return (Path(cached).parent, "cached") if isinstance(cached, str) else (None, "on the Hub")


def pin(name: str, repo_id: str, revision: str) -> None:
    """Note in the manifest which commit of which repository holds a zoo preset as it is now."""
    manifest.record(name, manifest.Entry(preset.sha256(zoo_folder() / name / preset.PRESET), repo_id, revision))


def parse_repository(name: str) -> tuple[str, str | None]:
    """Return repository and revision (None if unnamed) of `"user/repo"` or `"hf://user/repo@revision"`.

    Raises:
        ValueError: It is neither.
    """
    from huggingface_hub import parse_hf_uri

    if _REPOSITORY.fullmatch(name) or name.startswith("hf://"):
        try:
            uri = parse_hf_uri(name if name.startswith("hf://") else f"hf://{name}")
            if uri.type == "model" and not uri.path_in_repo:
                return uri.id, uri.revision
        except ValueError:
            pass
    known = list_models()
    raise ValueError(
        f"A handle is a zoo name ({', '.join(known)}), the path of a preset folder that exists, or a model repository, "
        f"'user/repo' or 'hf://user/repo@revision'.{did_you_mean(name, known)} Received: {name!r}"
    )


def _natural(name: str) -> list[int | str]:
    """Sort key in which `x2` comes before `x10`."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
