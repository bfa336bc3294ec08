"""From the Hugging Face Hub to a verified folder in the cache."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import (
    EntryNotFoundError,
    FileMetadataError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RevisionResolutionError,
)

from keras_ood.hub import preset


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
    fetched. What is in the cache already is not fetched again; a whole commit in it needs no network.

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
    cache_dir = None if cache_dir is None else os.fspath(cache_dir)
    try:
        commit = api.resolve_revision(
            repo_id, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only, token=token
        ).resolved
        where = {"revision": commit, "cache_dir": cache_dir, "local_files_only": local_files_only, "token": token}
        folder = Path(api.hf_hub_download(repo_id, preset.PRESET, **where)).parent
        with _discarding(folder):
            preset.verify_digest(folder, preset_sha256)
        content = preset.read(folder)
        for name in content["files"]:
            api.hf_hub_download(repo_id, name, **where)
        with _discarding(folder):
            preset.verify(folder, content)
    except RevisionNotFoundError as error:
        raise FileNotFoundError(f"Repository {repo_id} has no such branch, tag or commit. Received: {revision!r}") from error
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"The Hub shows no repository {repo_id}. A private or gated one asks for a token: `hf auth login`, or `token=`. "
            f"Received: {repo_id!r}"
        ) from error
    except (RevisionResolutionError, EntryNotFoundError, HfHubHTTPError, FileMetadataError) as error:
        raise OSError(
            f"Hub and cache did not give {repo_id} at {revision or 'its default branch'}: {first_line(error)} What has arrived is "
            "kept; run it again to go on."
        ) from error
    return folder


def first_line(error: Exception) -> str:
    """Return what the client's error says, without its advice for browsers."""
    return " ".join(str(error).split("\nFor more information")[0].split())


@contextmanager
def _discarding(folder: Path) -> Iterator[None]:
    """Take a damaged file, and the blob that it links to, out of the cache."""
    try:
        yield
    except preset.DamagedFileError as error:
        for path in (error.path.resolve(), folder / error.path.name):
            path.unlink(missing_ok=True)
        raise
