"""From a preset folder to the Hugging Face Hub."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

from keras_ood.hub import preset, safety
from keras_ood.hub.content import Content
from keras_ood.hub.pull import HUB_ERRORS, client, first_line

_REFUSED: tuple[type[Exception], ...] = (*HUB_ERRORS, RuntimeError)  # the latter wraps failures of large files
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
    nothing differs no commit is made, though a tag that was missing is set. A tag that exists stays where it is: it may be
    somebody's pin.

    Args:
        folder: Folder of the preset; verified first.
        repo_id: `"user/repo"`, created where absent.
        private: Whether a new repository is private; None for the account's default.
        create_pr: Whether to open a pull request in place of a commit to the default branch.
        commit_message: None for one that names the preset and the version.
        token: As in huggingface_hub.

    Raises:
        PresetError: The folder is damaged, has no card, or could not be loaded again.
        FileExistsError: The repository holds something else.
        OSError: The Hub refused; the message says what was done and how to go on.
    """
    content = read_publishable(folder)
    api = client(token)
    names = [preset.PRESET, *content["files"]]
    before = None
    try:
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        head = api.model_info(repo_id)
        before = str(head.sha)
        present = {file.rfilename for file in head.siblings or ()} - set(_KEPT)
        if present and preset.PRESET not in present:
            raise FileExistsError(f"A preset takes a repository of its own. Received: {repo_id}, which holds {sorted(present)}")
        done = api.create_commit(
            repo_id,
            [
                *(CommitOperationAdd(name, folder / name) for name in names),
                *(CommitOperationDelete(name) for name in sorted(present - set(names))),
            ],
            commit_message=commit_message or f"{content.get('name', content['family'])}, keras_ood {version('keras-ood')}",
            parent_commit=before,
            create_pr=create_pr,
        )
    except _REFUSED as error:
        raise OSError(f"{_state(api, repo_id, before)} ({first_line(error)})") from error
    published = Published(repo_id, done.oid, done.oid != before, done.pr_url)
    if not create_pr:
        tag = f"v{version('keras-ood')}"
        try:
            api.create_tag(repo_id, tag=tag, revision=done.oid, exist_ok=True)
        except HUB_ERRORS as error:
            raise OSError(
                f"{repo_id} holds the preset, commit {done.oid}, but not the tag {tag} ({first_line(error)})"
            ) from error
    return published


def read_publishable(folder: Path) -> Content:
    """Return what `preset.json` says of a folder that can be published: verified, with a card, and no file that is not ours.

    Raises:
        PresetError: It cannot.
    """
    content = preset.read(folder)
    preset.verify(folder, content)
    safety.check(folder)
    if preset.CARD not in content["files"]:
        raise preset.PresetError(f"A preset is published with its card, {preset.CARD}. Received: {folder} without it")
    if foreign := sorted(set(content["files"]) - set(preset.FILES)):
        raise preset.PresetError(
            f"A preset publishes no files but {sorted(preset.FILES)}; save it again to leave others out. "
            f"Received: {folder}, whose {preset.PRESET} lists {foreign}"
        )
    return content


def _state(api: HfApi, repo_id: str, before: str | None) -> str:
    """Say what a publication that failed has left behind: the answer to a commit may be lost though the commit was made."""
    if before is None:
        return f"{repo_id} could not be read or created: nothing was committed"
    try:
        now = api.model_info(repo_id).sha
    except HUB_ERRORS:
        return f"It is not known whether {repo_id} holds the preset: publish again to find out"
    if now == before:
        return (
            f"{repo_id} is as it was, {before}: nothing was committed. Publish again to go on: what was sent is not sent twice"
        )
    return f"{repo_id} has moved to {now}: somebody else's commit, or ours whose answer was lost. Publish again to find out"
