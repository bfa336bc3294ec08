"""From a preset folder to the Hugging Face Hub."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from huggingface_hub.errors import HfHubHTTPError

from keras_ood.hub import preset
from keras_ood.hub.card import CARD
from keras_ood.hub.pull import client, first_line

_KEPT = (".gitattributes",)  # of the Hub's own


@dataclass(frozen=True)
class Published:
    """Where a preset is now.

    Attributes:
        repo_id: `"user/repo"`.
        revision: The commit, 40 hexadecimal digits.
        created: Whether this publication made the commit; False where the repository held these very files.
        pull_request: Address of the pull request, where one was asked for.
    """

    repo_id: str
    revision: str
    created: bool
    pull_request: str | None = None


def push(
    folder: Path,
    repo_id: str,
    *,
    private: bool | None = None,
    create_pr: bool = False,
    commit_message: str | None = None,
    token: str | bool | None = None,
) -> Published:
    """Publish a preset folder in one commit, tagged with the package's version.

    The repository holds the preset's files and nothing else afterwards. Files that it holds already are not sent again; where
    nothing differs no commit is made, though a tag that was missing is set. A tag that exists stays where it is: it may be somebody's pin.

    Args:
        folder: Of the preset; verified first.
        repo_id: `"user/repo"`, created where absent.
        private: Of a new repository; None for the account's default.
        create_pr: Whether to open a pull request in place of a commit to the default branch.
        commit_message: None for one that names the preset and the version.
        token: As in huggingface_hub.

    Raises:
        PresetError: The folder is damaged, or has no card.
        OSError: The Hub refused; the message says what was done and how to go on.
    """
    content = preset.read(folder)
    preset.verify(folder, content)
    if CARD not in content["files"]:
        raise preset.PresetError(f"A preset is published with its card, {CARD}. Received: {folder} without it")
    api, tag = client(token), f"v{version('keras-ood')}"
    names = [preset.PRESET, *content["files"]]
    message = commit_message or f"{content.get('name', folder.name)}, keras_ood {version('keras-ood')}"
    try:
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        before = api.model_info(repo_id)
        gone = {file.rfilename for file in before.siblings or ()} - {*names, *_KEPT}
        operations = [CommitOperationAdd(name, folder / name) for name in names]
        done = api.create_commit(
            repo_id,
            [*operations, *(CommitOperationDelete(name) for name in sorted(gone))],
            commit_message=message,
            parent_commit=before.sha,
            create_pr=create_pr,
        )
    except (HfHubHTTPError, RuntimeError) as error:
        raise OSError(
            f"{repo_id} is as it was: nothing was committed ({first_line(error)}). Publish again to go on: what was sent is not sent twice"
        ) from error
    published = Published(repo_id, done.oid, done.oid != before.sha, done.pr_url)
    if not create_pr:
        try:
            api.create_tag(repo_id, tag=tag, revision=done.oid, exist_ok=True)
        except HfHubHTTPError as error:
            raise OSError(f"{repo_id} holds the preset, commit {done.oid}, but not the tag {tag} ({first_line(error)})") from error
    return published
