"""From the Hugging Face Hub to a verified folder in the cache."""

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, errors
from huggingface_hub.errors import (
    DryRunError,
    EntryNotFoundError,
    GatedRepoError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RevisionResolutionError,
)

from keras_ood.hub import preset

HUB_ERRORS: tuple[type[Exception], ...] = (errors.HTTPError, errors.OfflineModeIsEnabled)  # type: ignore[attr-defined]
"""What the client raises when the Hub refuses or is not to be reached."""

_UNAVAILABLE: tuple[type[Exception], ...] = (OSError, EntryNotFoundError, RevisionResolutionError, DryRunError, *HUB_ERRORS)
_GIT_HASH = re.compile(r"[0-9a-f]{40}")


def client(token: str | bool | None = None) -> HfApi:
    """Return huggingface_hub's client under this library's name."""
    return HfApi(token=token, library_name="keras_ood", library_version=version("keras-ood"))


def pull(
    repo_id: str,
    revision: str | None = None,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
    preset_sha256: str | None = None,
) -> Path:
    """Return the folder of a repository's preset in the cache, every file checked against its SHA-256.

    A branch or tag is resolved to a commit once, and all files come from that commit. Only files that `preset.json` names are
    fetched, none larger than it says. What is in the cache already is not fetched again; a whole commit in it needs no network.

    Args:
        repo_id: `"user/repo"`.
        revision: Branch, tag or commit; None for the default branch.
        cache_dir: As in huggingface_hub.
        local_files_only: Whether to look in the cache alone.
        token: As in huggingface_hub.
        preset_sha256: Digest of `preset.json` where it is known.

    Raises:
        PresetError: A file differs from its digest; it is taken out of the cache.
        OSError: The repository, the revision or a file is not to be had.
    """
    api = client(token)
    where: dict[str, Any] = {"cache_dir": cache_dir and os.fspath(cache_dir), "local_files_only": local_files_only}
    with _as_os_errors(repo_id, revision):
        where["revision"] = api.resolve_revision(repo_id, revision=revision, **where).resolved
        described = _fetch(api, repo_id, preset.PRESET, preset.LONGEST_JSON, where)
    folder = described.parent
    with _discard_damaged(folder):
        _verify_git_hash(described)
        preset.verify_digest(folder, preset_sha256)
        content = preset.read(folder)
    with _as_os_errors(repo_id, revision):
        for name, file in content["files"].items():
            _fetch(api, repo_id, name, file["size"], where)
    with _discard_damaged(folder):
        preset.verify(folder, content)
    return folder


def first_line(error: Exception) -> str:
    """Return what the client's error says in one line, without its advice for browsers."""
    return " ".join(str(error).split("\nFor more information")[0].split())


def _fetch(api: HfApi, repo_id: str, name: str, largest: int, where: dict[str, Any]) -> Path:
    if not where["local_files_only"]:
        size = api.hf_hub_download(repo_id, name, dry_run=True, **where).file_size
        if size is None or size > largest:
            raise preset.PresetError(f"{name} of {repo_id} must have at most {largest} bytes. Received: {size}")
    return Path(api.hf_hub_download(repo_id, name, **where))


@contextlib.contextmanager
def _as_os_errors(repo_id: str, revision: str | None) -> Iterator[None]:
    """Turn the client's errors into an `OSError` of one line that names the repository and what to do."""
    try:
        yield
    except RevisionNotFoundError as error:
        raise FileNotFoundError(f"Repository {repo_id} has no such branch, tag or commit. Received: {revision!r}") from error
    except GatedRepoError as error:
        raise PermissionError(
            f"Repository {repo_id} is gated: ask for access on its page. Received: {first_line(error)}"
        ) from error
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"The Hub shows no repository {repo_id}. A private one asks for a token: `hf auth login`, or `token=`. "
            f"Received: {repo_id!r}"
        ) from error
    except _UNAVAILABLE as error:
        raise OSError(
            f"Hub and cache did not give {repo_id} at {revision or 'its default branch'}: {first_line(error)} Files that have "
            "arrived whole are kept; run it again to go on."
        ) from error


@contextlib.contextmanager
def _discard_damaged(folder: Path) -> Iterator[None]:
    """Take what is damaged out of the cache: the file, and `preset.json`, which may be what is wrong."""
    try:
        yield
    except preset.PresetError as error:
        for path in {getattr(error, "path", folder / preset.PRESET), folder / preset.PRESET}:
            with contextlib.suppress(OSError):  # a cache that cannot be written keeps it
                path.resolve().unlink()
                path.unlink(missing_ok=True)
        raise


def _verify_git_hash(path: Path) -> None:
    """Check a small file against its hash in git, by which the cache names it."""
    blob = path.resolve()
    content = blob.read_bytes()
    found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if _GIT_HASH.fullmatch(blob.name) and found != blob.name:
        raise preset.DamagedFileError(path, "git hash", blob.name, found)
