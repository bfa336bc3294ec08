"""The commands that list presets and publish them."""

import fnmatch
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.text import Text

from keras_ood.cli import completion, zoo
from keras_ood.cli.computing import computing
from keras_ood.cli.console import Json, command, err, errors_in_a_line, out, show, table
from keras_ood.hub import handles, preset

NAMESPACE = "keras-ood"
"""User of the zoo's repositories on the Hub."""


def list_presets(
    pattern: Annotated[str, typer.Argument(help="Wildcards * and ?.")] = "*",
    hub: Annotated[bool, typer.Option("--hub", help="List what others have published for keras_ood on the Hub.")] = False,
    as_json: Json = False,
) -> None:
    """List the presets of the zoo, or with --hub those of others.

    Example: keras-ood list '*fashion*'
    """
    with errors_in_a_line():
        records = _on_the_hub(pattern) if hub else _in_the_zoo(pattern)
        title = "Not checked by us; files are verified when one is loaded"
        following = command("info", records[0]["preset"]) if records else ""
        show(records, as_json, lambda: table(records, title) if hub else zoo.table(records, out.width), following)


def _in_the_zoo(pattern: str) -> list[dict[str, Any]]:
    names = handles.list_models(pattern)
    if not names:
        raise ValueError(f"No preset matches; all of them: {', '.join(handles.list_models())}. Received: {pattern!r}")
    return [zoo.record(name) for name in names]


def _on_the_hub(pattern: str) -> list[dict[str, Any]]:
    from keras_ood.hub.pull import HUB_ERRORS, client, first_line

    try:
        models = [model for model in client().list_models(filter="keras_ood") if fnmatch.fnmatch(model.id, pattern)]
    except HUB_ERRORS as error:
        raise OSError(f"The Hub did not give its list: {first_line(error)}") from error
    return [
        {
            "preset": model.id,
            "downloads": model.downloads,
            "likes": model.likes,
            "changed": None if model.last_modified is None else f"{model.last_modified:%Y-%m-%d}",
        }
        for model in models
    ]


def publish(
    presets: Annotated[
        list[str] | None,
        typer.Argument(help="Zoo names or preset folders.", metavar="[PRESETS]...", autocompletion=completion.models),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every preset of the zoo.")] = False,
    repo: Annotated[
        str | None, typer.Option(help=f"Repository, user/repo; of a zoo preset {NAMESPACE}/NAME if absent.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show files and sizes, of one preset its card too; send nothing.")
    ] = False,
    private: Annotated[bool, typer.Option("--private", help="Create the repository as a private one.")] = False,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request.")] = False,
    message: Annotated[str | None, typer.Option("--message", help="Of the commit.")] = None,
    as_json: Json = False,
) -> None:
    """Publish presets on the Hugging Face Hub, one commit each, and pin the commits in the zoo's manifest.

    Example: keras-ood publish my-detector/ --repo me/my-detector --dry-run
    """
    with computing():
        from keras_ood.cards import card
        from keras_ood.hub.push import push

        known = handles.list_models()
        names = known if everything else presets or []
        if not names or (presets and everything):
            raise ValueError(f"`publish` takes presets or --all. Received: {presets or 'neither'}")
        if repo and len(names) > 1:
            raise ValueError(f"--repo goes with one preset. Received: {names}")
        records: list[dict[str, Any]] = []
        for name in names:
            ours = name in known
            folder = handles.resolve(name, source="embedded") if ours else Path(name)
            target = repo or (f"{NAMESPACE}/{name}" if ours else None)
            if target is None:
                raise ValueError(f"A preset that is not the zoo's needs --repo user/repo. Received: {name!r}")
            target, _ = handles.parse_repository(target)
            if not ours:
                card.address(folder, target)
            if dry_run:
                records.append({"preset": name, "repo_id": target, **_contents(folder)})
                continue
            published = push(folder, target, private=private or None, create_pr=create_pr, commit_message=message)
            done = published.pull_request or ("new commit" if published.created else "unchanged, no commit")
            err.print(f"{published.repo_id}@{published.revision}: {done}")
            records.append({"preset": name, **asdict(published)})
            if target == f"{NAMESPACE}/{name}" and not create_pr:  # a copy elsewhere is not the zoo's
                handles.pin(name, published.repo_id, published.revision)
        if dry_run:
            show(records, as_json, lambda: _plan(records), "the same without --dry-run")
            return
        repositories = [record["repo_id"] for record in records]
        show(records, as_json, lambda: f"Published {', '.join(repositories)}", command("info", repositories[0]))


def _contents(folder: Path) -> dict[str, Any]:
    """What would be sent."""
    from keras_ood.hub.push import read_publishable

    content = read_publishable(folder)
    own = folder / preset.PRESET
    files = [{"file": preset.PRESET, "bytes": own.stat().st_size, "sha256": preset.sha256(own)}]
    files += [{"file": name, "bytes": file["size"], "sha256": file["sha256"]} for name, file in content["files"].items()]
    return {"files": files, "card": (folder / preset.CARD).read_text()}


def _plan(records: list[dict[str, Any]]) -> Group:
    """What would be sent: of one preset its files and its card, of several a line each."""
    if len(records) == 1:
        (record,) = records
        files = [file | {"sha256": file["sha256"][:16]} for file in record["files"]]
        heading = Text(f"{record['preset']} -> {record['repo_id']}: nothing was sent")
        return Group(heading, table(files, ""), Text(record["card"]))
    lines = [_line(record) for record in records]
    total = sum(line["bytes"] for line in lines)
    return Group(table(lines, ""), Text(f"{len(lines)} presets, {total:,} bytes: nothing was sent"))


def _line(record: dict[str, Any]) -> dict[str, Any]:
    files = record["files"]
    own = files[0]  # preset.json, which names the digests of the others
    told = {"repo_id": record["repo_id"], "files": len(files), "bytes": sum(file["bytes"] for file in files)}
    return told | {own["file"]: own["sha256"][:16]}
